"""What pytest collects: files, functions, axes, ids, selection."""

import pytest

AXES = """
    import pytest

    @pytest.mark.models("package:first", "hub:org/second")
    @pytest.mark.variants("eager", "compiled")
    def bench_generate(model, measure): ...

    def bench_plain(measure): ...

    @pytest.mark.parametrize("n", [1, 2])
    def bench_sized(n, measure): ...

    def test_ordinary(): ...
"""


def ids(pytester, *arguments):
    result = pytester.runpytest("--collect-only", "-q", *arguments)
    return [line for line in result.outlines if "::" in line and not line.startswith("ERROR")]


def test_benches_are_found_beside_tests_with_no_configuration(pytester):
    pytester.makepyfile(bench_a=AXES, test_b="def test_b(): ...\ndef bench_not_here(measure): ...")
    assert sorted(ids(pytester)) == [
        "bench_a.py::bench_generate[first-compiled]",
        "bench_a.py::bench_generate[first-eager]",
        "bench_a.py::bench_generate[second-compiled]",
        "bench_a.py::bench_generate[second-eager]",
        "bench_a.py::bench_plain",
        "bench_a.py::bench_sized[1]",
        "bench_a.py::bench_sized[2]",
        "bench_a.py::test_ordinary",
        "test_b.py::test_b",
    ]


def test_asserts_in_bench_files_are_rewritten(pytester):
    pytester.makepyfile(bench_a="def bench_a(measure):\n    run = measure(sum, [1])\n    assert [run.output] == [2]")
    pytester.runpytest().stdout.fnmatch_lines(["*At index 0 diff: 1 != 2*"])


def test_names_of_equal_ends_are_written_in_full(pytester):
    pytester.makepyfile(
        bench_a="""
        import pytest

        @pytest.mark.models("hub:a/llama", "hub:b/llama", "hub:b/other")
        def bench_a(model, measure): ...
        """
    )
    assert ids(pytester) == [
        "bench_a.py::bench_a[hub:a/llama]",
        "bench_a.py::bench_a[hub:b/llama]",
        "bench_a.py::bench_a[other]",
    ]


def test_an_axis_of_one_value_is_not_in_the_id_but_k_sees_it(pytester):
    pytester.makepyfile(
        bench_a="""
        import pytest

        @pytest.mark.models("package:smollm")
        def bench_a(model, measure): ...
        """
    )
    assert ids(pytester) == ["bench_a.py::bench_a"]
    assert ids(pytester, "-k", "smollm and eager and cpu") == ["bench_a.py::bench_a"]
    assert ids(pytester, "-k", "smollm and compiled") == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--variant", "eager"], ["[first-eager]", "[second-eager]"]),
        (["--model", "second"], ["[second-compiled]", "[second-eager]"]),
        (["--model", "hub:org/second", "--variant", "compiled"], ["[second-compiled]"]),
        (["--bench-variant", "onnx", "--bench-model", "first"], ["[first-onnx]"]),
        (["--variant", "eager,onnx", "--model", "hub:new/one@v2"], ["[one-eager]", "[one-onnx]"]),
        (["--device", "cuda", "--model", "first", "--variant", "eager"], ["[first-eager-cuda]"]),
        (["-k", "first and eager"], ["[first-eager]"]),
    ],
)
def test_options_narrow_or_take_the_place_of_marks(pytester, options, expected):
    pytester.makepyfile(bench_a=AXES)
    found = ids(pytester, *options)
    assert sorted(name.partition("bench_generate")[2] for name in found if "generate" in name) == expected


def test_the_usual_device_asked_for_by_name_changes_no_id(pytester):
    pytester.makepyfile(bench_a=AXES)
    assert ids(pytester, "--device", "cpu") == ids(pytester)


def test_a_declared_device_binds(pytester):
    pytester.makepyfile(
        bench_a="""
        import pytest

        @pytest.mark.devices("cuda")
        def bench_big(measure): ...

        @pytest.mark.devices("cpu", "cuda")
        def bench_both(measure): ...
        """
    )
    found = sorted(ids(pytester))
    assert found == ["bench_a.py::bench_big", "bench_a.py::bench_both[cpu]", "bench_a.py::bench_both[cuda]"]
    assert ids(pytester, "--device", "cpu") == ["bench_a.py::bench_both[cpu]"]
    assert ids(pytester, "--device", "cuda:1") == ["bench_a.py::bench_big[cuda:1]", "bench_a.py::bench_both[cuda:1]"]


def test_parametrize_and_an_overridden_fixture_are_left_alone(pytester):
    pytester.makepyfile(
        bench_a="""
        import pytest

        @pytest.fixture
        def model():
            return "mine"

        def bench_own(model, measure): ...

        @pytest.mark.parametrize("variant", ["eager", "compiled"], indirect=True)
        def bench_by_hand(variant, measure): ...
        """
    )
    assert ids(pytester) == [
        "bench_a.py::bench_own",
        "bench_a.py::bench_by_hand[eager]",
        "bench_a.py::bench_by_hand[compiled]",
    ]


def test_each_combination_of_model_and_variant_is_one_group(pytester):
    pytester.makepyfile(
        bench_a="""
        import pytest
        pytestmark = [pytest.mark.models("package:a", "package:b"), pytest.mark.variants("eager", "compiled")]

        def bench_one(model, measure): ...
        """,
        bench_b="""
        import pytest

        @pytest.mark.models("package:b")
        @pytest.mark.variants("compiled", "onnx")
        def bench_two(model, measure): ...
        """,
    )
    combinations = []
    for name in ids(pytester):
        inside = name.partition("[")[2].rstrip("]")
        combinations.append(inside if "-" in inside else f"b-{inside}")
    changes = [name for at, name in enumerate(combinations) if at == 0 or combinations[at - 1] != name]
    assert len(changes) == len(set(combinations)) == 5


@pytest.mark.parametrize(
    ("arguments", "runs"),
    [
        ([], False),
        (["--bench-mock"], True),
        (["bench_mock.py"], True),
        (["-k", "mock"], True),
        (["-k", "not mock"], False),
        (["-k", "other"], False),
        (["-k", "bench"], False),
    ],
)
def test_simulated_benches_run_only_when_asked_for(pytester, arguments, runs):
    pytester.makepyfile(
        bench_mock="""
        import pytest

        @pytest.mark.simulated
        def bench_a(measure): ...
        """,
        bench_other="def bench_other(measure): ...",
    )
    assert any("bench_mock" in name for name in ids(pytester, *arguments)) == runs


BAD_MARKS = {
    "unknown dataset 'package:countryinfo#capital'; did you mean 'package:countryinfo#capitals'?*": (
        '@pytest.mark.datasets("package:countryinfo#capital")',
        "dataset, measure",
    ),
    "unknown variant 'compild' in bench_a in bench_a.py; did you mean 'compiled'?*": (
        '@pytest.mark.models("package:a")\n@pytest.mark.variants("compild")',
        "model, measure",
    ),
    "mark variants() on bench_a in bench_a.py needs names: write @pytest.mark.variants*": (
        '@pytest.mark.models("package:a")\n@pytest.mark.variants()',
        "model, measure",
    ),
    "bench_a in bench_a.py is marked models but uses no fixture that depends on it: take `model`": (
        '@pytest.mark.models("package:a")',
        "measure",
    ),
    "bench_a in bench_a.py takes `model` and says nowhere which: add @pytest.mark.models*": ("", "model, measure"),
    "cannot tell what 'nowhere' is: no such path; write it as one of hub:*": (
        '@pytest.mark.models("nowhere")',
        "model, measure",
    ),
    "mark models on bench_a in bench_a.py takes no option limit": (
        '@pytest.mark.models("package:a", limit=3)',
        "model, measure",
    ),
    "variant 'eager+' has an empty part; write name, name:option or first+second": (
        '@pytest.mark.models("package:a")\n@pytest.mark.variants("eager+")',
        "model, measure",
    ),
}


@pytest.mark.parametrize("message", BAD_MARKS)
def test_a_mark_that_cannot_be_meant_is_a_clear_collection_error(pytester, message):
    marks, arguments = BAD_MARKS[message]
    pytester.makepyfile(bench_a=f"import pytest\n{marks}\ndef bench_a({arguments}): ...")
    result = pytester.runpytest()
    result.stdout.fnmatch_lines([message.replace("[", "[[]")])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert result.ret == pytest.ExitCode.INTERRUPTED


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--variant", "onx"], "*unknown variant 'onx' in --variant; did you mean 'onnx'?*"),
        (["--model", "secnd"], "*--model 'secnd': no bench declares it; did you mean 'second'?*"),
        (["--variant", "eager,"], "*--variant 'eager,' has an empty name*"),
        (["--bench-rounds", "0"], "*--bench-rounds 0: give a whole number of at least 1*"),
        (["--bench-max-seconds", "-1"], "*--bench-max-seconds -1.0: give seconds above 0*"),
        (["--bench-store", "elsewhere"], "*--bench-store 'elsewhere' is not KIND:PLACE*"),
        (["--bench-store", "parqet:data"], "*unknown store 'parqet'*did you mean 'parquet'?*"),
        (["--bench-report", "htm:x"], "*unknown report 'htm'*did you mean 'html'?*"),
        (["--device", "cdua"], "*unknown device 'cdua'*did you mean 'cuda'?*"),
    ],
)
def test_an_option_that_cannot_be_meant_is_a_clear_error(pytester, options, message):
    pytester.makepyfile(bench_a=AXES)
    result = pytester.runpytest(*options)
    text = result.stdout.str() + result.stderr.str()
    pytest.LineMatcher(text.splitlines()).fnmatch_lines([message])
    assert result.ret != 0
    assert "INTERNALERROR" not in text


def test_two_things_of_one_name_are_refused_with_both_places(pytester):
    pytester.makeconftest(
        """
        from pytest_modelbench import variant

        @variant
        def mine(model):
            return model
        """
    )
    pytester.makepyfile(
        bench_a="""
        from pytest_modelbench import variant

        @variant("mine")
        def other(model):
            return model

        def bench_a(measure): ...
        """
    )
    result = pytester.runpytest()
    result.stdout.fnmatch_lines(["two things are called variant 'mine': *conftest.py:3 and *bench_a.py:3; rename*"])


def test_a_built_in_name_cannot_be_taken(pytester):
    pytester.makeconftest(
        """
        from pytest_modelbench import metric

        @metric("ratio", "higher")
        def accuracy(predictions, references):
            return [1.0]
        """
    )
    result = pytester.runpytest()
    result.stderr.fnmatch_lines(["*two things are called metric 'accuracy': the built-in pytest_modelbench.metrics*"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_module_of_tests_without_benches_is_untouched(pytester):
    pytester.makepyfile(test_a="def test_a(): ...")
    result = pytester.runpytest()
    result.assert_outcomes(passed=1)
    assert "modelbench" not in "\n".join(line for line in result.outlines if not line.startswith("plugins:"))
    assert not (pytester.path / "reports").exists()


OWN_OPTION = """
    def pytest_addoption(parser):
        parser.addoption("--device", default="theirs")

    def pytest_configure(config):
        config.own_device = config.getoption("--device")
"""


@pytest.mark.parametrize("arguments", [[], ["-p", "theirs"]], ids=["conftest", "plugin"])
def test_an_option_that_a_project_has_is_left_to_it(pytester, arguments):
    own = pytester.makepyfile(theirs=OWN_OPTION)
    if not arguments:
        own.rename(pytester.path / "conftest.py")
    pytester.syspathinsert()
    pytester.makepyfile(bench_a=AXES, test_a="def test_a(request): assert request.config.own_device == 'mine'")
    result = pytester.runpytest_subprocess(*arguments, "--device", "mine", "test_a.py")
    result.assert_outcomes(passed=1)
    found = pytester.runpytest_subprocess(
        *arguments, "--collect-only", "-q", "--bench-device", "cuda", "--model", "first"
    )
    found.stdout.fnmatch_lines(["bench_a.py::bench_generate[[]first-eager-cuda[]]"])


def test_ordinary_tests_are_left_alone(pytester):
    pytester.makeconftest(
        """
        import pytest

        def pytest_configure(config):
            config.addinivalue_line("markers", "devices: of somebody else")

        def pytest_generate_tests(metafunc):
            if "model" in metafunc.fixturenames:
                metafunc.parametrize("model", ["a", "b"])
        """
    )
    pytester.makepyfile(
        test_a="""
        import pytest

        def test_by_hook(model): ...

        @pytest.mark.devices(3)
        @pytest.mark.models
        def test_marked(): ...
        """,
        test_b="def test_by_hook(model): ...",
    )
    assert ids(pytester) == [
        "test_a.py::test_by_hook[a]",
        "test_a.py::test_by_hook[b]",
        "test_a.py::test_marked",
        "test_b.py::test_by_hook[a]",
        "test_b.py::test_by_hook[b]",
    ]


def test_benches_in_classes_are_found(pytester):
    pytester.makepyfile(
        bench_a="""
        class TestA:
            def bench_x(self, measure): ...

        class BenchB:
            def bench_x(self, measure): ...

        class Helper:
            def bench_x(self, measure): ...
        """
    )
    assert ids(pytester) == ["bench_a.py::TestA::bench_x", "bench_a.py::BenchB::bench_x"]
