module tokenkeep.example/bench

go 1.22

require (
	github.com/AzureAD/microsoft-authentication-extensions-for-go/cache v0.1.1
	github.com/AzureAD/microsoft-authentication-library-for-go v1.0.0
)

require (
	github.com/keybase/go-keychain v0.0.0-20230523030712-b5615109f100 // indirect
	golang.org/x/sys v0.8.0 // indirect
)
