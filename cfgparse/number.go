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

// NormalInteger prints an integer the way the Perl stack prints it after it
// has computed with it: without plus sign and leading zeros while it fits 64
// bits, beyond that with 15 significant digits and an exponent. The text must
// be a sign, or none, and digits.
func NormalInteger(s string) string {
	sign := ""
	if s[0] == '-' {
		sign = "-"
	}
	digits := strings.TrimLeft(trimSign(s), "0")
	if digits == "" {
		return "0"
	}
	magnitude, err := strconv.ParseUint(digits, 10, 64)
	if err == nil && (sign == "" || magnitude <= 1<<63) {
		return sign + digits
	}
	number := toFloat(sign + digits)
	if math.IsInf(number, 0) {
		return sign + "Inf"
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(number, 'e', 14, 64), "e")
	mantissa = strings.TrimSuffix(strings.TrimRight(mantissa, "0"), ".")
	return mantissa + "e" + exponent
}
