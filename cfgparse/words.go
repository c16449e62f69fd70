package cfgparse

import (
	"errors"
	"strings"
)

// SplitWords splits text into words as a shell does: white space separates,
// quotes and backslashes protect it. Text with a quote that is not closed, or
// with a backslash at its end, has no words at all. A single "0" has none
// either.
func SplitWords(text string) []string {
	if text == "0" {
		return nil
	}
	rest := trimLeft(text)
	var words []string
	var word strings.Builder
	open := false // a word has begun
	for rest != "" {
		switch c := rest[0]; {
		case isSpace(c):
			// Nothing but white space separates, so an unquoted empty word
			// between separators cannot occur.
			words = append(words, word.String())
			word.Reset()
			open = false
			rest = trimLeft(rest)
		case c == '"' || c == '\'':
			quoted, length := quotedPart(rest)
			if length == 0 {
				return nil
			}
			word.WriteString(quoted)
			open = true
			rest = rest[length:]
		default:
			plain, length := plainPart(rest)
			if length == 0 {
				return nil
			}
			word.WriteString(plain)
			open = true
			rest = rest[length:]
		}
	}
	if open {
		words = append(words, word.String())
	}
	return words
}

// quotedPart reads a quoted string at the start of s and returns its content
// and its length with the quotes, 0 when it does not end. In double quotes a
// backslash protects any character and goes away; in single quotes it protects
// and stays.
func quotedPart(s string) (content string, length int) {
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return b.String(), i + 1
		case s[i] == '\\' && i+1 < len(s):
			if quote == '\'' {
				b.WriteByte('\\')
			}
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return "", 0
}

// plainPart reads up to white space or a quote, without the backslashes. Its
// length is 0 when a backslash protects nothing.
func plainPart(s string) (content string, length int) {
	var b strings.Builder
	i := 0
	for ; i < len(s) && !isSpace(s[i]) && s[i] != '"' && s[i] != '\''; i++ {
		if s[i] == '\\' {
			if i++; i == len(s) {
				return "", 0
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), i
}

var errQuoteNUL = errors.New(`shell_quote(): No way to quote string containing null (\000) bytes`)

// QuoteWord quotes one word for a shell, if it needs quotes. A word with '='
// in it does: at the start of a command it would be an assignment. No shell
// can carry a NUL.
func QuoteWord(word string) (string, error) {
	if word == "" {
		return "''", nil
	}
	if strings.IndexByte(word, 0) >= 0 {
		return "", errQuoteNUL
	}
	if !strings.ContainsFunc(word, needsQuote) {
		return word, nil
	}
	return quote(word), nil
}

func needsQuote(r rune) bool {
	return r >= 0x80 || (!isWordByte(byte(r)) && strings.IndexByte("!%+,-./:@^", byte(r)) < 0)
}

func isWordByte(c byte) bool {
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
}

// quote puts word in single quotes. A single quote inside stands behind a
// backslash outside of them, several in a row stand in double quotes; empty
// quotes at either end are left out.
func quote(word string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for word != "" {
		plain := strings.IndexByte(word, '\'')
		if plain < 0 {
			plain = len(word)
		}
		b.WriteString(word[:plain])
		word = word[plain:]
		run := len(word) - len(strings.TrimLeft(word, "'"))
		switch {
		case run == 1:
			b.WriteString(`'\''`)
		case run > 1:
			b.WriteString(`'"` + word[:run] + `"'`)
		}
		word = word[run:]
	}
	b.WriteByte('\'')
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), "''"), "''")
}
