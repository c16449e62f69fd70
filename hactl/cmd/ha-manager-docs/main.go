// Command ha-manager-docs writes the manual page and the completion files of
// ha-manager into a folder, for packages.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"pveha/hactl"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: ha-manager-docs FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "ha-manager-docs:", err)
		os.Exit(1)
	}
}

// readable is the mode of files that everybody may read.
const readable = 0o644

func write(folder string) error {
	for name, text := range map[string]string{
		"ha-manager.1":    hactl.ManPage(),
		"ha-manager.bash": hactl.BashCompletion(),
		"_ha-manager":     hactl.ZshCompletion(),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), readable); err != nil {
			return err
		}
	}
	return nil
}
