package hactl

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// frame is the characters that a table is drawn with.
type frame struct {
	bar                      string // left, right and between columns
	top, head, between, foot edge
	narrowHead               edge // head of a table with one column
}

// edge is a horizontal line: its left end, its stroke, its crossing with the
// lines between columns, and its right end.
type edge struct{ left, stroke, cross, right string }

var asciiFrame = frame{
	bar: "|",
	top: edge{"+-", "-", "-+-", "-+"}, between: edge{"+-", "-", "-+-", "-+"}, foot: edge{"+-", "-", "-+-", "-+"},
	head: edge{"+=", "=", "=+=", "=+"},
	// The Perl command leaves the corner out.
	narrowHead: edge{"+=", "=", "", "="},
}

var boxFrame = frame{
	bar: "│",
	top: edge{"┌─", "─", "─┬─", "─┐"}, between: edge{"├─", "─", "─┼─", "─┤"}, foot: edge{"└─", "─", "─┴─", "─┘"},
	head: edge{"╞═", "═", "═╪═", "═╡"}, narrowHead: edge{"╞═", "═", "", "═╡"},
}

func (e edge) line(widths []int) string {
	cells := make([]string, len(widths))
	for i, width := range widths {
		cells[i] = strings.Repeat(e.stroke, width)
	}
	return e.left + strings.Join(cells, e.cross) + e.right
}

// tableOptions say how a table is drawn.
type tableOptions struct {
	noBorder, noHeader bool
	text               charset
	columns            int // of the terminal; 0 for no limit
}

// textTable draws rows, sorted by their first column.
func textTable(columns []string, rows []object, o tableOptions) string {
	slices.SortStableFunc(rows, func(a, b object) int {
		return cmp.Compare(text(a[columns[0]]), text(b[columns[0]]))
	})
	cells := make([][][]string, len(rows)) // rows, columns, lines
	widths := make([]int, len(columns))
	for i, name := range columns {
		widths[i] = utf8.RuneCountInString(name)
	}
	for r, row := range rows {
		cells[r] = make([][]string, len(columns))
		for i, name := range columns {
			lines := strings.Split(strings.TrimRight(text(row[name]), "\n"), "\n")
			for _, line := range lines {
				widths[i] = max(widths[i], utf8.RuneCountInString(line))
			}
			cells[r][i] = lines
		}
	}
	p := tablePrinter{tableOptions: o, frame: asciiFrame, widths: widths}
	if o.text == charsetUTF8 {
		p.frame = boxFrame
	}
	p.draw(columns, cells)
	return p.out.String()
}

type tablePrinter struct {
	tableOptions
	frame  frame
	widths []int
	out    strings.Builder
}

func (p *tablePrinter) draw(columns []string, cells [][][]string) {
	p.rule(p.frame.top)
	separator := p.frame.between
	if !p.noHeader {
		p.row(columns)
		separator = p.frame.head
		if len(columns) == 1 {
			separator = p.frame.narrowHead
		}
	}
	for r, row := range cells {
		if r > 0 || !p.noHeader {
			p.rule(separator)
			separator = p.frame.between
		}
		height := 1
		for _, lines := range row {
			height = max(height, len(lines))
		}
		for line := range height {
			texts := make([]string, len(row))
			for i, lines := range row {
				if line < len(lines) {
					texts[i] = lines[line]
				}
			}
			p.row(texts)
		}
	}
	p.rule(p.frame.foot)
}

// rule draws a horizontal line, if there are any.
func (p *tablePrinter) rule(e edge) {
	if !p.noBorder {
		p.line(e.line(p.widths))
	}
}

func (p *tablePrinter) row(texts []string) {
	cells := make([]string, len(texts))
	for i, text := range texts {
		cells[i] = text + strings.Repeat(" ", p.widths[i]-utf8.RuneCountInString(text))
	}
	if p.noBorder {
		// Nothing is behind the last column, so it is not filled up.
		cells[len(cells)-1] = texts[len(texts)-1]
		p.line(strings.Join(cells, " "))
		return
	}
	bar := p.frame.bar
	p.line(bar + " " + strings.Join(cells, " "+bar+" ") + " " + bar)
}

// line prints a line as far as the terminal is wide.
func (p *tablePrinter) line(text string) {
	if runes := []rune(text); p.columns > 0 && len(runes) > p.columns {
		text = string(runes[:p.columns])
	}
	p.out.WriteString(p.text.encode(text) + "\n")
}

var errUnknownFormat = errors.New("internal error: unknown output format")

// printRows prints rows in the form that the options ask for.
func (q *Query) printRows(columns []string, rows []object, p params) error {
	if p.flag("quiet") {
		return nil
	}
	list := make([]any, len(rows))
	for i := range rows {
		list[i] = rows[i]
	}
	var out string
	switch p.get("output-format") {
	case "json":
		out = jsonText(list) + "\n"
	case "json-pretty":
		out = prettyJSON(list)
	case "yaml":
		out = yamlText(list)
	case "text", "":
		if len(rows) > 0 {
			out = textTable(columns, rows, q.tableOptions(p))
		}
	default:
		return errUnknownFormat
	}
	if p.has("output-format") && p.get("output-format") == "" {
		return errUnknownFormat
	}
	fmt.Fprint(q.Stdio.Out, out)
	return nil
}

func (q *Query) tableOptions(p params) tableOptions {
	o := tableOptions{noBorder: p.flag("noborder"), noHeader: p.flag("noheader"), text: q.Stdio.charset()}
	if q.Stdio.Terminal != nil {
		o.columns, _ = q.Stdio.Terminal.Size()
	}
	return o
}
