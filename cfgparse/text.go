package cfgparse

import (
	"strings"
)

// EncodeText prepares free text for a property value: control characters,
// '%', ':' and every byte outside of ASCII become %XX.
func EncodeText(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c < 0x20 || c > 0x7e || c == '%' || c == ':' {
			const digits = "0123456789ABCDEF"
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// DecodeText undoes EncodeText. A '%' without two hexadecimal digits behind it
// stands for itself, and what is not UTF-8 becomes U+FFFD.
func DecodeText(value string) string {
	return toUTF8(unescape(value))
}

func unescape(value string) string {
	if !strings.Contains(value, "%") {
		return value
	}
	b := make([]byte, 0, len(value))
	for i := 0; i < len(value); i++ {
		if value[i] == '%' && i+2 < len(value) {
			high, low := hexDigit(value[i+1]), hexDigit(value[i+2])
			if high >= 0 && low >= 0 {
				b = append(b, byte(high<<4|low))
				i += 2
				continue
			}
		}
		b = append(b, value[i])
	}
	return string(b)
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// toUTF8 replaces what is not UTF-8.
func toUTF8(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
