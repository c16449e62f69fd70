package hacfg

import (
	"errors"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"pveha/cfgparse"
	"pveha/internal/ha"
)

// bound returns a limit of a number.
func bound(f float64) *float64 { return &f }

func textProperty(name string, enum ...string) cfgparse.Property {
	return cfgparse.Property{Name: name, Type: cfgparse.String, Enum: enum}
}

func flagProperty(name string) cfgparse.Property {
	return cfgparse.Property{Name: name, Type: cfgparse.Boolean}
}

func formatProperty(name string, format func(string) error) cfgparse.Property {
	return cfgparse.Property{Name: name, Type: cfgparse.String, Format: format}
}

func nestedProperty(name string, format cfgparse.PropertyString) cfgparse.Property {
	return formatProperty(name, format.Format(name))
}

func patternProperty(name, pattern string) cfgparse.Property {
	return cfgparse.Property{
		Name: name, Type: cfgparse.String,
		Pattern: regexp.MustCompile("^(?:" + pattern + ")$"),
	}
}

func required(p cfgparse.Property) cfgparse.Property {
	p.Required = true
	return p
}

// haFormat is the value of "ha".
var haFormat = cfgparse.PropertyString{
	required(textProperty("shutdown_policy", string(ha.PolicyFreeze), string(ha.PolicyFailover),
		string(ha.PolicyConditional), string(ha.PolicyMigrate))),
}

// crsFormat is the value of "crs".
var crsFormat = cfgparse.PropertyString{
	textProperty("ha", string(SchedulerBasic), string(SchedulerStatic), string(SchedulerDynamic)),
	flagProperty("ha-rebalance-on-start"),
	flagProperty("ha-auto-rebalance"),
	{
		Name: "ha-auto-rebalance-threshold", Type: cfgparse.Number,
		Minimum: bound(0), Maximum: bound(100), Requires: "ha-auto-rebalance",
	},
	{
		Name: "ha-auto-rebalance-method", Type: cfgparse.String,
		Enum: []string{string(BalanceBruteforce), string(BalanceTopsis)}, Requires: "ha-auto-rebalance",
	},
	{
		Name: "ha-auto-rebalance-hold-duration", Type: cfgparse.Number,
		Minimum: bound(0), Requires: "ha-auto-rebalance",
	},
	{
		Name: "ha-auto-rebalance-margin", Type: cfgparse.Number,
		Minimum: bound(0), Maximum: bound(100), Requires: "ha-auto-rebalance",
	},
}

// migrationFormat is the value of "migration" and of "replication".
var migrationFormat = cfgparse.PropertyString{
	{
		Name: "type", Type: cfgparse.String, Required: true, DefaultKey: true,
		Enum: []string{"secure", "insecure"},
	},
	formatProperty("network", checkCIDR),
}

var nextIDFormat = cfgparse.PropertyString{
	{Name: "lower", Type: cfgparse.Integer},
	{Name: "upper", Type: cfgparse.Integer},
}

var notifyFormat = cfgparse.PropertyString{
	textProperty("package-updates", "auto", "always", "never"),
	textProperty("target-package-updates"),
	textProperty("fencing", "always", "never"),
	textProperty("target-fencing"),
	textProperty("replication", "always", "never"),
	textProperty("target-replication"),
}

var bandwidthFormat = cfgparse.PropertyString{
	{Name: "default", Type: cfgparse.Number, Minimum: bound(0)},
	{Name: "restore", Type: cfgparse.Number, Minimum: bound(0)},
	{Name: "migration", Type: cfgparse.Number, Minimum: bound(0)},
	{Name: "clone", Type: cfgparse.Number, Minimum: bound(0)},
	{Name: "move", Type: cfgparse.Number, Minimum: bound(0)},
}

var u2fFormat = cfgparse.PropertyString{textProperty("appid"), textProperty("origin")}

var webauthnFormat = cfgparse.PropertyString{
	textProperty("rp"), textProperty("origin"), textProperty("id"), flagProperty("allow-subdomains"),
}

const (
	tagPattern   = `[a-zA-Z0-9_][a-zA-Z0-9_\-+.]*`
	colorPattern = tagPattern + `:[0-9a-fA-F]{6}(?::[0-9a-fA-F]{6})?`
)

var tagStyleFormat = cfgparse.PropertyString{
	textProperty("shape", "full", "circle", "dense", "none"),
	patternProperty("color-map", colorPattern+"(?:;"+colorPattern+")*"),
	textProperty("ordering", "config", "alphabetical"),
	flagProperty("case-sensitive"),
}

var tagAccessFormat = cfgparse.PropertyString{
	textProperty("user-allow", "none", "list", "existing", "free"),
	patternProperty("user-allow-list", tagPattern+"(?:;"+tagPattern+")*"),
}

var locationFormat = cfgparse.PropertyString{
	{Name: "name", Type: cfgparse.String, MaxLength: 128},
	{Name: "latitude", Type: cfgparse.Number, Required: true, Minimum: bound(-90), Maximum: bound(90)},
	{Name: "longitude", Type: cfgparse.Number, Required: true, Minimum: bound(-180), Maximum: bound(180)},
}

// maxNotes is the longest description and consent text in bytes.
const maxNotes = 64 * 1024

// datacenterProperties are all properties of datacenter.cfg. Those that HA
// does not use are here because a line that fails its check is warned of,
// whoever reads the file.
var datacenterProperties = []cfgparse.Property{
	nestedProperty("crs", crsFormat),
	textProperty("keyboard", "de", "de-ch", "da", "en-gb", "en-us", "es", "fi", "fr", "fr-be",
		"fr-ca", "fr-ch", "hu", "is", "it", "ja", "lt", "mk", "nl", "no", "pl", "pt", "pt-br",
		"sv", "sl", "tr"),
	textProperty("language", "ar", "ca", "da", "de", "en", "es", "eu", "fa", "fr", "hr", "he",
		"it", "ja", "ka", "kr", "nb", "nl", "nn", "pl", "pt_BR", "ru", "sl", "sv", "tr", "ukr",
		"zh_CN", "zh_TW"),
	patternProperty("http_proxy", "http://.*"),
	flagProperty("migration_unsecure"),
	nestedProperty("next-id", nextIDFormat),
	nestedProperty("migration", migrationFormat),
	nestedProperty("replication", migrationFormat),
	textProperty("console", "applet", "vv", "html5", "xtermjs"),
	formatProperty("email_from", checkOptionalEmail),
	{Name: "max_workers", Type: cfgparse.Integer, Minimum: bound(1)},
	textProperty("fencing", string(FencingWatchdog), string(FencingHardware), string(FencingBoth)),
	nestedProperty("ha", haFormat),
	formatProperty("mac_prefix", checkMACPrefix),
	nestedProperty("notify", notifyFormat),
	nestedProperty("bwlimit", bandwidthFormat),
	nestedProperty("u2f", u2fFormat),
	nestedProperty("webauthn", webauthnFormat),
	{Name: "description", Type: cfgparse.String, MaxLength: maxNotes},
	nestedProperty("tag-style", tagStyleFormat),
	nestedProperty("user-tag-access", tagAccessFormat),
	patternProperty("registered-tags", "(?:"+tagPattern+";)*"+tagPattern),
	{Name: "consent-text", Type: cfgparse.String, MaxLength: maxNotes},
	nestedProperty("location", locationFormat),
}

// checkCIDR accepts a network of IPv4 with at least 8 bits of prefix, or of
// IPv6 likewise.
func checkCIDR(value string) error {
	failed := errors.New("value does not look like a valid CIDR network")
	address, bits, ok := strings.Cut(value, "/")
	prefix, err := strconv.Atoi(bits)
	if !ok || err != nil || !allDigits(bits) || prefix <= 7 {
		return failed
	}
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Zone() != "" || prefix > ip.BitLen() {
		return failed
	}
	return nil
}

var (
	emailPattern     = regexp.MustCompile(`^[\pL\p{Nd}_+\-~]+(\.[\pL\p{Nd}_+\-~]+)*@[a-zA-Z0-9\-]+(\.[a-zA-Z0-9\-]+)*$`)
	macPrefixPattern = regexp.MustCompile(`(?i)^[a-f0-9][02468ace](?::[a-f0-9]{2}){0,2}(?::[a-f0-9]?)?$`)
)

// checkOptionalEmail accepts an e-mail address, or nothing. Every byte of the
// user's name is taken for a character of Latin-1.
func checkOptionalEmail(value string) error {
	latin1 := make([]rune, len(value))
	for i := range len(value) {
		latin1[i] = rune(value[i])
	}
	if value != "" && value != "0" && !emailPattern.MatchString(string(latin1)) {
		return errors.New("value does not look like a valid email address")
	}
	return nil
}

func checkMACPrefix(value string) error {
	if !macPrefixPattern.MatchString(value) {
		return errors.New("value is not a valid unicast MAC address prefix")
	}
	return nil
}
