"""`--bench-columns`."""


def test_the_table_has_the_columns_that_are_asked_for(pytester):
    pytester.makepyfile(bench_a="def bench_sum(measure): measure(sum, [1])")
    result = pytester.runpytest_subprocess("bench_a.py", "--bench-rounds=3", "--bench-columns=p95_seconds,rounds")
    result.stdout.re_match_lines([r" +p95_seconds +rounds$", "bench_a.py", r"  sum +[\d.]+ .s +3  few_samples"])


def test_a_column_that_is_none_is_told_before_anything_runs(pytester):
    pytester.makepyfile(bench_a="def bench_sum(measure): measure(sum, [1])")
    result = pytester.runpytest_subprocess("bench_a.py", "--bench-columns=medain")
    result.stderr.fnmatch_lines(["*unknown column 'medain' in --bench-columns; did you mean 'median'?*"])
    assert result.ret == 4
