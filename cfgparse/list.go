package cfgparse

import "strings"

// SplitList splits a list at commas, semicolons and white space; separators at
// its start and its end make no item. A list that contains a NUL is split at
// NULs alone.
//
// White space here includes the bytes 0x85 and 0xA0. They occur inside of many
// UTF-8 characters, which the Perl stack splits there, too.
func SplitList(list string) []string {
	if strings.IndexByte(list, 0) >= 0 {
		items := strings.Split(list, "\x00")
		for len(items) > 0 && items[len(items)-1] == "" {
			items = items[:len(items)-1]
		}
		return items
	}
	items := make([]string, 0, countItems(list))
	start := -1
	for i := 0; i < len(list); i++ {
		switch separates := isListSeparator(list[i]); {
		case separates && start >= 0:
			items = append(items, list[start:i])
			start = -1
		case !separates && start < 0:
			start = i
		}
	}
	if start >= 0 {
		items = append(items, list[start:])
	}
	return items
}

func countItems(list string) int {
	count := 0
	for i := range len(list) {
		if !isListSeparator(list[i]) && (i == 0 || isListSeparator(list[i-1])) {
			count++
		}
	}
	return count
}

func isListSeparator(c byte) bool {
	return c == ',' || c == ';' || isSpace(c) || c == 0x85 || c == 0xA0
}
