package compare

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func plan(t *testing.T, c Choice) []Step {
	t.Helper()
	steps, err := Plan(c)
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

func runs(steps []Step, pairs int) (n int) {
	for _, s := range steps {
		n += pairs * len(s.Contenders)
	}
	return n
}

func TestEveryStepSetsUstackAgainstKernelTCP(t *testing.T) {
	for _, quick := range []bool{false, true} {
		seen := map[string]bool{}
		for _, s := range plan(t, Choice{Quick: quick, CPUs: 2}) {
			name := s.Name + ", " + s.Placement
			if s.Contenders[0] != Ustack || !slices.Contains(s.Contenders, Veth) {
				t.Errorf("%s: %v", name, s.Contenders)
			}
			if seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
			if len(MetricsOf(s.Group)) == 0 || Headline(s.Group).Name == "" {
				t.Errorf("%s: group %q has no metrics", name, s.Group)
			}
		}
	}
}

func TestPlansFitTheirTime(t *testing.T) {
	for _, c := range []struct {
		quick bool
		pairs int
		total time.Duration
	}{{false, 5, FullBudget}, {true, 3, QuickBudget}} {
		steps := plan(t, Choice{Quick: c.quick, CPUs: 2})
		n := runs(steps, c.pairs)
		if least := time.Duration(n) * (firstGuess + shortestRun/2); least > c.total {
			t.Errorf("quick %v: %d runs take %v at the least, there are %v", c.quick, n, least, c.total)
		}
	}
}

func TestNobodyFollowsTheSameOtherEachRound(t *testing.T) {
	const rounds = 5
	for n := 2; n <= len(Contenders); n++ {
		s := Step{}
		for _, c := range Contenders[:n] {
			s.Contenders = append(s.Contenders, c.Name)
		}
		type two struct{ before, after string }
		follows, behind, first := map[two]int{}, map[two]int{}, map[string]int{}
		for round := 1; round <= rounds; round++ {
			order := s.Turn(round)
			if got := slices.Sorted(slices.Values(order)); !slices.Equal(got, slices.Sorted(slices.Values(s.Contenders))) {
				t.Fatalf("%d contenders, round %d: %v", n, round, order)
			}
			first[order[0]]++
			for i, after := range order {
				for j, before := range order[:i] {
					behind[two{before, after}]++
					if j == i-1 {
						follows[two{before, after}]++
					}
				}
			}
		}
		// Two contenders have two orders for five rounds; from six on there are places for each.
		most, mostFirst := 2, 2
		switch {
		case n == 2:
			most, mostFirst = 3, 3
		case n >= 6:
			most, mostFirst = 1, 1
		}
		for p, times := range follows {
			if times > most {
				t.Errorf("%d contenders: %s comes right after %s %d times in %d rounds", n, p.after, p.before, times, rounds)
			}
		}
		for p, times := range behind {
			if times > 3 { // of 5, the other 2
				t.Errorf("%d contenders: %s comes after %s %d times in %d rounds", n, p.after, p.before, times, rounds)
			}
		}
		for c, times := range first {
			if times > mostFirst {
				t.Errorf("%d contenders: %s begins %d of %d rounds", n, c, times, rounds)
			}
		}
	}
	s := Step{Contenders: []string{"a", "b", "c"}}
	s.Turn(3)
	if strings.Join(s.Contenders, "") != "abc" {
		t.Errorf("the contenders were put into another order: %v", s.Contenders)
	}
}

func TestCopiesAreMeasuredWhereOneFlowIsBulk(t *testing.T) {
	var got []string
	for _, s := range plan(t, Choice{CPUs: 2}) {
		if slices.Contains(s.Contenders, Copy) {
			got = append(got, s.Name+", "+s.Placement)
		}
	}
	want := []string{"bulk in, 1 flow, one-cpu", "bulk in, 1 flow, two-cpus", "bulk out, 1 flow, one-cpu", "bulk out, 1 flow, two-cpus"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if len(colors) != len(Contenders) {
		t.Errorf("%d colors for %d contenders", len(colors), len(Contenders))
	}
}

func TestAPlanCanBeNarrowed(t *testing.T) {
	all := plan(t, Choice{CPUs: 2})
	if one := plan(t, Choice{CPUs: 1}); slices.ContainsFunc(one, func(s Step) bool { return s.Placement != OneCPU }) || len(one) >= len(all) {
		t.Error("two placements on one processor")
	}
	only := plan(t, Choice{CPUs: 2, Only: regexp.MustCompile(`^bulk in, 1 flow, two-cpus$`)})
	if len(only) != 1 || only[0].Name != "bulk in, 1 flow" || only[0].Placement != TwoCPUs {
		t.Errorf("--only: %+v", only)
	}
	for _, s := range plan(t, Choice{CPUs: 2, Baselines: []string{Relay}}) {
		if !slices.Equal(s.Contenders, []string{Ustack, Relay}) {
			t.Errorf("--baselines relay: %v", s.Contenders)
		}
	}
	if _, err := Plan(Choice{CPUs: 2, Baselines: []string{"bogus"}}); err == nil || !strings.Contains(err.Error(), "veth-plain") {
		t.Errorf("an unknown baseline: %v", err)
	}
	if _, err := Plan(Choice{CPUs: 2, Only: regexp.MustCompile("nothing")}); err == nil {
		t.Error("a plan of nothing")
	}
}

func TestWorkloadsDoNotShareArguments(t *testing.T) {
	first, second := Workloads(), Workloads()
	for i := range first {
		first[i].Server = append(first[i].Server, "x")
		first[i].Load = append(first[i].Load, "x")
	}
	for _, w := range second {
		if slices.Contains(w.Server, "x") || slices.Contains(w.Load, "x") {
			t.Errorf("%s: %v %v", w.Name, w.Server, w.Load)
		}
	}
}

func TestABudgetSharesOutWhatIsLeft(t *testing.T) {
	b := NewBudget(100*time.Second, 100, 0)
	if d := b.Load(); d != time.Second-firstGuess {
		t.Errorf("at first %v", d)
	}
	// Half of the runs took three quarters of the time: what is left is for loads that
	// are shorter.
	first := b.Load()
	b.Took(50, 50, first, 75*time.Second)
	if d := b.Load(); d >= first || d < shortestRun {
		t.Errorf("after a slow half %v, before %v", d, first)
	}
	b.Took(25, 25, first, 24*time.Second)
	if d := b.Load(); d != shortestRun {
		t.Errorf("in want of time %v", d)
	}
	if b.Spent() {
		t.Error("spent too early")
	}
	b.Took(25, 25, shortestRun, time.Second)
	if !b.Spent() {
		t.Error("not spent")
	}
	if d := NewBudget(time.Hour, 1, 0).Load(); d != longestRun {
		t.Errorf("in abundance %v", d)
	}
	if d := NewBudget(time.Hour, 1, time.Minute).Load(); d != time.Minute {
		t.Errorf("as told %v", d)
	}
}

func TestWhereTimeIsShortThereAreFewerRounds(t *testing.T) {
	b := NewBudget(100*time.Second, 100, 0)
	if n := b.Rounds(5); n != 5 {
		t.Errorf("at first %d rounds", n)
	}
	b.Took(50, 50, b.Load(), 80*time.Second)
	if n := b.Rounds(5); n < 1 || n >= 5 {
		t.Errorf("when a fifth of the time is left for half of the runs, %d rounds", n)
	}
	b.Took(25, 25, shortestRun, 30*time.Second)
	if n := b.Rounds(5); n != 1 {
		t.Errorf("when none is left, %d rounds", n)
	}
	if n := NewBudget(time.Second, 100, time.Second).Rounds(5); n != 5 {
		t.Errorf("with loads of a time that was given, %d rounds", n)
	}
}

func TestOneSlowStepDoesNotShortenTheRest(t *testing.T) {
	b := NewBudget(100*time.Second, 100, 0)
	first := b.Load()
	b.Took(1, 1, first, first+firstGuess)
	b.Took(1, 1, first, 20*time.Second)
	b.Took(1, 1, first, first+firstGuess)
	if d := b.Load(); d < first/2 {
		t.Errorf("before %v, after %v", first, d)
	}
}
