package cfgparse

import (
	"math/bits"
	"strings"
	"unicode/utf8"
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
//
// UTF-8 is taken in its wide sense: surrogates and numbers beyond Unicode, in
// up to 13 bytes, are characters like any other and stay as they are. EncodeText
// writes all of them back.
func DecodeText(value string) string {
	return replaceMalformed(unescape(value))
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

// replaceMalformed replaces each malformed sequence by one U+FFFD.
func replaceMalformed(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for s != "" {
		length, ok := sequence(s)
		if ok {
			b.WriteString(s[:length])
		} else {
			b.WriteRune(utf8.RuneError)
		}
		s = s[length:]
	}
	return b.String()
}

// sequence returns the length of the first character of s, and whether it is
// well-formed. The length of a malformed one counts its first byte and as many
// continuation bytes as would belong to it.
func sequence(s string) (length int, ok bool) {
	first := s[0]
	want := sequenceLength(first)
	if want <= 1 {
		return 1, first < utf8.RuneSelf
	}
	length = 1
	for length < want && length < len(s) && s[length]&0xC0 == 0x80 {
		length++
	}
	return length, length == want && !overlong(s[:length])
}

// sequenceLength returns the length that the first byte of a character
// announces, 1 for a continuation byte.
func sequenceLength(first byte) int {
	switch ones := bits.LeadingZeros8(^first); {
	case ones < 7:
		return max(ones, 1)
	case ones == 7:
		return 7
	}
	return 13
}

// overlong tells whether a complete sequence has more bytes than its character
// needs, or stands for a number beyond 64 bits.
func overlong(s string) bool {
	if len(s) == 2 {
		return s[0] < 0xC2
	}
	if len(s) < 13 {
		// The bits that the first byte lacks must not all be missing in the
		// second one.
		unneeded := byte(0x80 | 1<<(8-min(len(s), 7)) - 1)
		return s[0]&(1<<(7-min(len(s), 7))-1) == 0 && s[1] <= unneeded
	}
	// 12 continuation bytes hold 72 bits. A shorter form holds 36, so that
	// one of the upper six bytes must count, and the first two only as far as
	// 64 bits go.
	if s[1] != 0x80 || s[2] > 0x8F {
		return true
	}
	return s[2:7] == "\x80\x80\x80\x80\x80"
}
