package hactl

import (
	"strings"
	"unicode/utf8"
)

// charset is how text is encoded where the command is run from.
type charset string

const (
	charsetUTF8   charset = "UTF-8"
	charsetLatin1 charset = "ISO-8859-1"
	charsetASCII  charset = "ANSI_X3.4-1968"
)

// charset returns the encoding that the locale asks for. A locale that names
// none has the one of the C locale.
func (s Stdio) charset() charset {
	name := ""
	for _, variable := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if name = s.getenv(variable); name != "" {
			break
		}
	}
	_, codeset, _ := strings.Cut(name, ".")
	codeset, _, _ = strings.Cut(codeset, "@")
	switch strings.ToUpper(strings.ReplaceAll(codeset, "-", "")) {
	case "UTF8":
		return charsetUTF8
	case "ISO88591":
		return charsetLatin1
	}
	return charsetASCII
}

// decode returns an argument as UTF-8. A byte that is no character becomes
// U+FFFD.
func (c charset) decode(text string) string {
	switch c {
	case charsetUTF8:
		return strings.ToValidUTF8(text, string(utf8.RuneError))
	case charsetLatin1:
		return latin1(text)
	case charsetASCII:
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] < utf8.RuneSelf {
			b.WriteByte(text[i])
		} else {
			b.WriteRune(utf8.RuneError)
		}
	}
	return b.String()
}

// latin1 reads each byte as the character of that number.
func latin1(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		b.WriteRune(rune(text[i]))
	}
	return b.String()
}

// encode is the reverse of decode. What cannot be shown becomes '?'.
func (c charset) encode(text string) string {
	limit := rune(utf8.RuneSelf)
	switch c {
	case charsetUTF8:
		return text
	case charsetLatin1:
		limit = 0x100
	case charsetASCII:
	}
	out := make([]byte, 0, len(text))
	for _, r := range text {
		if r < limit {
			out = append(out, byte(r))
		} else {
			out = append(out, '?')
		}
	}
	return string(out)
}
