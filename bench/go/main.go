// Measures Go's extension like cycles.py: saves a cache file under the extension's own lock.
//
//	go run . '{"path": PATH, "bytes": N, "samples": N}'
//
// Prints JSON: one number of milliseconds a sample.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/AzureAD/microsoft-authentication-extensions-for-go/cache"
	"github.com/AzureAD/microsoft-authentication-extensions-for-go/cache/accessor/file"
	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"
)

type specification struct {
	Path    string `json:"path"`
	Bytes   int    `json:"bytes"`
	Samples int    `json:"samples"`
}

// client has the methods of an msal client that the extension calls.
type client struct{ content []byte }

func (c *client) Marshal() ([]byte, error) { return c.content, nil }

func (c *client) Unmarshal(content []byte) error {
	c.content = content
	return nil
}

func main() {
	samples, err := measure(os.Args[1])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(samples)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure(text string) ([]float64, error) {
	var spec specification
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return nil, err
	}
	store, err := file.New(spec.Path)
	if err != nil {
		return nil, err
	}
	shared, err := cache.New(store, spec.Path+".timestamp")
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	contents := [][]byte{bytes.Repeat([]byte("0"), spec.Bytes), bytes.Repeat([]byte("1"), spec.Bytes)}
	samples := []float64{}
	for n := 0; n <= spec.Samples; n++ {
		ours := client{}
		began := time.Now()
		// The calls that msal makes around each request: load the stored content, then export the changed content.
		if n > 0 {
			if err := shared.Replace(ctx, &ours, msal.ReplaceHints{}); err != nil {
				return nil, err
			}
		}
		ours.content = contents[n%2]
		if err := shared.Export(ctx, &ours, msal.ExportHints{}); err != nil {
			return nil, err
		}
		if n > 0 {
			samples = append(samples, float64(time.Since(began).Nanoseconds())/1e6)
		}
	}
	stored, err := os.ReadFile(spec.Path)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(stored, contents[spec.Samples%2]) {
		return nil, fmt.Errorf("what is stored is not what was written")
	}
	return samples, nil
}
