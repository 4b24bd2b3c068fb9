package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Method says how figures come about; it stands in every report.
var Method = "Each contender of a workload is measured once in each round, in an order in which others come first and follow each other from round to round; figures are medians over the rounds. " +
	"A ratio is that of user-space TCP to a baseline, taken round by round; its spread is the least and the greatest. " +
	"A ratio is marked unsure if there are fewer than 5 pairs, if the pairs do not agree which of the two is ahead (unless all lie within 10% of each other), " +
	"or if the greatest is more than twice the least. That 5 pairs of two that are equal agree by chance happens once in 16. " +
	"System CPU is the time that the processors of the placement were busy, softirq included, whatever they did, in ticks of 10 ms; " +
	"a run in which it is more by 30% and by 20 ms than what client, server and helper used has met other load, or softirq that is nobody's, and is noted. " +
	"Server CPU is the server's process alone, for relay the program that moves frames too. " +
	"Server busy is the server's share of one processor. What tap-read carries is what its sender gives: where its reader is not busy all the time, it is no ceiling, and server CPU by gigabyte tells more. " +
	"Latencies of an open loop count from the time at which a request was due. " +
	"Copies are those in user space. " +
	fmt.Sprintf("System calls, wake-ups and allocations are without what the samples themselves cost; up to %d allocations in all of a run, however many requests it makes, are the end of its connection's, and cannot be told from 0. ", AllocResolution) +
	"Memory is the server's resident memory besides ring pages, which are told apart (twice, where both mappings were touched); a kernel's own buffers are in neither."

// WriteDir writes every form of the report into a directory, which is made:
// compare.json, compare.csv, compare.html, and each chart.
func (r *Report) WriteDir(dir string) error {
	if err := r.WriteJSON(dir); err != nil {
		return err
	}
	table, err := r.CSV()
	if err != nil {
		return err
	}
	charts, err := r.Charts()
	if err != nil {
		return err
	}
	page, err := r.HTML(charts)
	if err != nil {
		return err
	}
	for _, c := range charts {
		if err := writeFile(dir, c.File, c.SVG); err != nil {
			return err
		}
	}
	return errors.Join(writeFile(dir, "compare.csv", table), writeFile(dir, "compare.html", page))
}

// WriteJSON writes compare.json alone: what is kept while a comparison runs.
func (r *Report) WriteJSON(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return writeFile(dir, "compare.json", append(b, '\n'))
}

// writeFile replaces a file, so that whoever reads it meanwhile sees a whole one, and one
// that can't be written whole leaves what was there.
func writeFile(dir, name string, b []byte) error {
	path, tmp := filepath.Join(dir, name), filepath.Join(dir, "."+name)
	err := os.WriteFile(tmp, b, 0o644)
	if err == nil {
		err = likeOld(path, tmp)
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp) // it may not be there
	}
	return err
}

// likeOld gives a new file the owner and the mode of the one that it is to replace, if there
// is one: a comparison is root's, and a page of results is its reader's.
func likeOld(path, tmp string) error {
	old, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		st := old.Sys().(*syscall.Stat_t)
		if err := os.Chown(tmp, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	return os.Chmod(tmp, old.Mode().Perm())
}

// MedianOf is the median of a metric over a contender's runs of a step; NaN if there
// is none.
func (r *Report) MedianOf(s *Step, contender, metric string) float64 {
	return Median(r.values(s.Name, s.Placement, contender, metric))
}

// values of a metric in a contender's runs of a workload.
func (r *Report) values(workload, placement, contender, metric string) (v []float64) {
	for _, run := range r.Runs {
		if run.Workload == workload && run.Placement == placement && run.Contender == contender {
			if x, ok := run.Values[metric]; ok {
				v = append(v, x)
			}
		}
	}
	return v
}
