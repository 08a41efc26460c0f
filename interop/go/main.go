// The Go side of the tests in interop/: the real msal for Go and the real extensions, driven from the command line.
//
//	peer item-read | item-write ITEM    an item of the keyring, through accessor.New; content from and to stdin, stdout
//	peer file-read | file-write PATH    a plaintext cache, through file.New
//	peer sign-in PATH NAME              signs NAME in over a plaintext cache, with the device code flow
//	peer accounts PATH                  prints the accounts in it, one user name a line
//	peer silent PATH NAME               prints an access token for NAME, without a request to the user
//	peer lock PATH                      holds the cache's lock from "held" on until stdin ends, then says "released"
//	peer write PATH N                   N locked writes, one after another, each checked to be the only one; see alone
//
// ITEM is JSON: {"schema", "label", "attributes": [[name, value]...]}. Nothing goes over a network.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	extension "github.com/AzureAD/microsoft-authentication-extensions-for-go/cache"
	"github.com/AzureAD/microsoft-authentication-extensions-for-go/cache/accessor"
	"github.com/AzureAD/microsoft-authentication-extensions-for-go/cache/accessor/file"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) < 2 {
		return errors.New("usage: peer ACTION TARGET [WORD]")
	}
	action, target, word := arguments[0], arguments[1], ""
	if len(arguments) > 2 {
		word = arguments[2]
	}
	switch action {
	case "item-read", "item-write":
		item, err := open(target)
		if err != nil {
			return err
		}
		return pass(item, action == "item-write")
	case "file-read", "file-write":
		store, err := file.New(target)
		if err != nil {
			return err
		}
		return pass(store, action == "file-write")
	case "sign-in":
		return signIn(target, word)
	case "accounts":
		return accounts(target)
	case "silent":
		return silent(target, word)
	case "lock":
		return locked(target, func() error {
			fmt.Println("held")
			_, err := io.Copy(io.Discard, os.Stdin)
			fmt.Println("released")
			return err
		})
	case "write":
		times, err := strconv.Atoi(word)
		for turn := 0; err == nil && turn < times; turn++ {
			err = locked(target, func() error { return alone(target) })
		}
		return err
	}
	return fmt.Errorf("unknown action %q", action)
}

func open(text string) (accessor.Accessor, error) {
	var item struct {
		Schema, Label string
		Attributes    [][2]string
	}
	if err := json.Unmarshal([]byte(text), &item); err != nil {
		return nil, err
	}
	// The extension does not export the type of an option, so no slice can hold options.
	switch len(item.Attributes) {
	case 0:
		return accessor.New(item.Schema, accessor.WithLabel(item.Label))
	case 1:
		one := item.Attributes[0]
		return accessor.New(item.Schema, accessor.WithLabel(item.Label), accessor.WithAttribute(one[0], one[1]))
	default:
		one, two := item.Attributes[0], item.Attributes[1]
		return accessor.New(item.Schema, accessor.WithLabel(item.Label),
			accessor.WithAttribute(one[0], one[1]), accessor.WithAttribute(two[0], two[1]))
	}
}

// pass copies content between the store and the standard streams.
func pass(store accessor.Accessor, write bool) error {
	ctx := context.Background()
	if write {
		content, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		return store.Write(ctx, content)
	}
	content, err := store.Read(ctx)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(content)
	return err
}

// action is a store whose write, which happens under the lock, does something else.
type action func() error

func (action) Read(context.Context) ([]byte, error)  { return nil, nil }
func (action) Delete(context.Context) error          { return nil }
func (d action) Write(context.Context, []byte) error { return d() }
func (action) Marshal() ([]byte, error)              { return []byte("{}"), nil }

// locked runs an action under the lock, in place of the export that the extension expects.
func locked(path string, work action) error {
	shared, err := extension.New(work, path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return shared.Export(ctx, work, cache.ExportHints{})
}

// alone creates a file that must not exist yet, and removes it. It fails if two processes hold the lock at once.
func alone(path string) error {
	proof := path + ".alone"
	made, err := os.OpenFile(proof, os.O_CREATE|os.O_EXCL, 0600)
	if err != nil {
		return fmt.Errorf("somebody else is writing, too: %w", err)
	}
	if err := made.Close(); err != nil {
		return err
	}
	time.Sleep(200 * time.Microsecond)
	return os.Remove(proof)
}

func app(path string, who string) (public.Client, error) {
	store, err := file.New(path)
	if err != nil {
		return public.Client{}, err
	}
	shared, err := extension.New(store, path)
	if err != nil {
		return public.Client{}, err
	}
	return public.New(client, public.WithAuthority(authority), public.WithCache(shared),
		public.WithHTTPClient(service(who)))
}

func signIn(path, who string) error {
	ctx := context.Background()
	app, err := app(path, who)
	if err != nil {
		return err
	}
	// Like a program at its start: the extension then exports the program's cache over the file's content.
	if _, err := app.Accounts(ctx); err != nil {
		return err
	}
	code, err := app.AcquireTokenByDeviceCode(ctx, []string{"User.Read"})
	if err != nil {
		return err
	}
	_, err = code.AuthenticationResult(ctx)
	return err
}

func accounts(path string) error {
	app, err := app(path, "")
	if err != nil {
		return err
	}
	known, err := app.Accounts(context.Background())
	if err != nil {
		return err
	}
	for _, account := range known {
		fmt.Println(account.PreferredUsername)
	}
	return nil
}

func silent(path, who string) error {
	ctx := context.Background()
	app, err := app(path, who)
	if err != nil {
		return err
	}
	known, err := app.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, account := range known {
		if account.PreferredUsername == who+"@example.com" {
			result, err := app.AcquireTokenSilent(ctx, []string{"User.Read"}, public.WithSilentAccount(account))
			if err == nil {
				fmt.Println(result.AccessToken)
			}
			return err
		}
	}
	return fmt.Errorf("%s is not signed in", who)
}
