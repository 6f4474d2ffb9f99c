package main

import (
	"fmt"
	"io"
	"log"
	"strings"
	"time"
)

// A table is what one suite found out.
type table struct {
	title   string
	about   string
	columns []string
	rows    []row
}

// A row is one line of a table, with what was wrong about it.
type row struct {
	cells    []string
	failures []string
}

// need notes a failure, with the figure that it was judged by, unless ok.
func (r *row) need(ok bool, format string, values ...any) {
	if !ok {
		r.failures = append(r.failures, fmt.Sprintf(format, values...))
	}
}

func (r *row) add(format string, values ...any) {
	r.cells = append(r.cells, fmt.Sprintf(format, values...))
}

func (r *row) verdict() string {
	if len(r.failures) == 0 {
		return "ok"
	}
	return "**FAILED**: " + strings.Join(r.failures, "; ")
}

// take adds a row, and tells of it.
func (t *table) take(r row) {
	log.Printf("%s: %s", strings.Join(r.cells, " | "), r.verdict())
	t.rows = append(t.rows, r)
}

// broken is the table of a suite that couldn't be run.
func (t table) broken(err error) table {
	r := row{cells: []string{"the suite"}}
	r.need(false, "%v", err)
	t.take(r)
	return t
}

// write writes it as Markdown.
func (t *table) write(to io.Writer) {
	fmt.Fprintf(to, "\n## %s\n\n%s\n\n", t.title, t.about)
	fmt.Fprintf(to, "| %s | verdict |\n", strings.Join(t.columns, " | "))
	fmt.Fprintf(to, "|%s\n", strings.Repeat("---|", len(t.columns)+1))
	for _, r := range t.rows {
		cells := append([]string{}, r.cells...)
		// A suite that broke off has fewer.
		for len(cells) < len(t.columns) {
			cells = append(cells, "")
		}
		line := strings.Join(append(cells, r.verdict()), " | ")
		fmt.Fprintf(to, "| %s |\n", strings.ReplaceAll(line, "\n", " "))
	}
}

func (t *table) failed() int {
	count := 0
	for _, r := range t.rows {
		if len(r.failures) > 0 {
			count++
		}
	}
	return count
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }

func secs(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func mb(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/1e6) }
