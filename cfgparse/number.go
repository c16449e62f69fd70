package cfgparse

import (
	"math"
	"strconv"
	"strings"
)

// isInteger accepts a sign and decimal digits.
func isInteger(s string) bool {
	digits := trimSign(s)
	return digits != "" && allDigits(digits)
}

// isNumber accepts an integer, a decimal fraction with digits on at least one
// side of its point, and a decimal exponent behind either.
func isNumber(s string) bool {
	s = trimSign(s)
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		if !isInteger(s[i+1:]) {
			return false
		}
		s = s[:i]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	return whole+fraction != "" && allDigits(whole) && allDigits(fraction)
}

func trimSign(s string) string {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		return s[1:]
	}
	return s
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// toFloat returns the value of a text that isNumber accepts; what is too big
// becomes an infinity.
func toFloat(s string) float64 {
	f, _ := strconv.ParseFloat(s, 64)
	return f
}

// NormalNumber prints a number the way the Perl stack prints it after it has
// computed with it: an integer without plus sign and leading zeros while it
// fits 64 bits, anything else with 15 significant digits. The text must be a
// number.
func NormalNumber(s string) string {
	if !isInteger(s) {
		return formatFloat(toFloat(s))
	}
	negative := s[0] == '-'
	digits := strings.TrimLeft(trimSign(s), "0")
	if digits == "" {
		return "0"
	}
	magnitude, err := strconv.ParseUint(digits, 10, 64)
	switch {
	case err != nil:
		return formatFloat(toFloat(s))
	case !negative:
		return digits
	case magnitude <= 1<<63:
		return "-" + digits
	}
	return formatFloat(toFloat(s))
}

// formatFloat prints like C's %.15g.
func formatFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "Inf"
	case math.IsInf(f, -1):
		return "-Inf"
	case f == 0:
		return "0"
	}
	exponential := strconv.FormatFloat(f, 'e', 14, 64)
	mantissa, exponent, _ := strings.Cut(exponential, "e")
	if e, _ := strconv.Atoi(exponent); e >= -5+1 && e < 15 {
		return trimZeros(strconv.FormatFloat(f, 'f', 14-e, 64))
	}
	return trimZeros(mantissa) + "e" + exponent
}

func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
