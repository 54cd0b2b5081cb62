// Runs the programs of the docs on cases: see programkit.py for what a line of the file is.
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"
)

type check func(header func(string) string, body []byte, secret string) bool

func main() {
	cases, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	for _, line := range strings.Split(strings.TrimSuffix(string(cases), "\n"), "\n") {
		fields := strings.Split(line, "\t")
		given := map[string]string{}
		for _, pair := range strings.Fields(fields[4]) {
			header, value, _ := strings.Cut(pair, ":")
			given[strings.ToLower(header)] = string(decode(value))
		}
		header := func(name string) string { return given[strings.ToLower(name)] }
		verified := programs[fields[1]](header, decode(fields[3]), fields[2])
		fmt.Printf("%s\t%t\n", fields[0], verified)
	}
}

func decode(text string) []byte {
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return decoded
}
