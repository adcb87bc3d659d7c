"""Settings from YAML: numbers as people write them, changes by key, refusals by key and rule."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medcyclegan.errors import UsageError
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config, shipped_configs
from tests.training.tiny_training import gan_settings

NAMES = (
    "ct_denoise", "ct_denoise_cyclegan", "ct_images", "head_ct_denoise", "head_ct_mr", "head_mr_ct",
    "head_mr_ct_continued", "head_t1_t2", "head_t2_t1", "mr_ct", "mr_ct_finetune", "mr_ct_multi",
    "t1_t2", "t1_t2_unet", "xray_ct",
)  # fmt: skip


def written(tmp_path: Path, *replacements: tuple[str, str]) -> Path:
    """The shipped mr_ct.yaml with some of its text replaced."""
    text = shipped_configs()["mr_ct"].read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, *changes: str) -> TrainConfig:
    return read_settings(path, TrainConfig, changes=changes)


def test_all_are_there_and_valid() -> None:
    assert tuple(shipped_configs()) == NAMES
    for name, path in shipped_configs().items():
        made = read(path)
        assert made.name == name
        assert 0.0 < made.decay_from < 1.0
        comments = " ".join(re.findall("#(.*)", path.read_text(encoding="utf-8")))
        for unit in ("channels at 1", "edge of a "):
            assert unit in comments, (name, unit)
        for kind, unit in (("percentiles", "percent"), ("unit: HU", "HU")):
            if kind in path.read_text(encoding="utf-8"):
                assert unit in comments, (name, unit)


def test_what_they_promise() -> None:
    made = {name: read(path) for name, path in shipped_configs().items()}
    denoise, heads, slices = made["ct_denoise_cyclegan"], made["mr_ct"], made["ct_images"]
    assert (gan_settings(denoise).losses.cycle, gan_settings(denoise).losses.identity) == (
        30.0,
        2.0,
    )
    assert (denoise.generator.kind, denoise.generator.widths[0]) == ("unet", 64)
    assert {made[name].data.task("a").target.unit for name in made if "denoise" in name} == {"HU"}
    assert (made["ct_denoise"].data.matched_noise, made["ct_denoise"].data.pairs) == (1.0, "none")
    assert (heads.generator.kind, heads.data.depth, heads.data.size_px) == ("shuffle_unet", 5, 128)
    assert gan_settings(heads).losses.structure > 0
    assert gan_settings(heads).warmup is not None
    assert gan_settings(heads).largest_weight("matched") > 0
    assert (slices.data.depth, slices.data.size_px) == (1, 128)
    assert made["xray_ct"].data.a.modality == "XR"
    assert made["t1_t2"].generator.kind == "shuffle_unet"
    for name in ("mr_ct", "t1_t2", "ct_images", "xray_ct"):  # no pairs, and yet a warm-up
        engine = gan_settings(made[name])
        assert engine.warmup is not None
        assert engine.warmup.losses.matched > 0
    t1_t2 = made["t1_t2_unet"]
    assert (t1_t2.generator.kind, t1_t2.generator.norm) == ("concat_unet", "instance")
    assert (t1_t2.data.size_px, 1 in t1_t2.panel_steps) == (256, True)


@pytest.mark.parametrize("text", ["2e-4", "2.0e-4", "0.0002", "2E-4", ".2e-3", "'2e-4'"])
def test_a_rate_is_a_number_however_it_is_written(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, ("discriminator_rate: 2e-4", f"discriminator_rate: {text}"))
    assert gan_settings(read(path)).discriminator_rate == 2e-4
    assert gan_settings(read(path, f"engine.generator_rate={text}")).generator_rate == 2e-4


def test_changes_reach_into_the_settings(tmp_path: Path) -> None:
    path = written(tmp_path)
    made = read(
        path, "engine.losses.cycle=20", "data.a.scaling.lower=1", "data.augment.flip=0.25",
        "generator.widths=[8, 16]", "steps=2e4", "compile=true", "name=my.own-run_2",
    )  # fmt: skip
    assert gan_settings(made).losses.cycle == 20.0
    assert gan_settings(made).losses.structure == gan_settings(read(path)).losses.structure
    assert made.data.a.scaling.lower == 1.0
    assert made.data.augment.flip == 0.25
    assert made.generator.widths == (8, 16)
    assert (made.steps, made.compile, made.name) == (20000, True, "my.own-run_2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("engine.losses.cycel=20", r"engine\.losses\.cycel = 20; .*no key"),
        ("engine.losses.cycle=-1", r"engine\.losses\.cycle = -1; .*greater than or equal to 0"),
        ("engine.losses.cycle=much", r"engine\.losses\.cycle = 'much'; .*number"),
        ("engine.losses.cycle=.inf", r"engine\.losses\.cycle = inf; .*finite"),
        ("engine.losses={adversarial: 0, cycle: 0, identity: 0}", "nothing to learn"),
        ("data.position_matched=false", r"losses\.matched needs data\.position_matched"),
        ("engine.warmup.share=0", r"engine\.warmup\.share = 0; .*greater than 0"),
        ("engine.kind=gan", r"engine.kind=gan; .*'contrastive', 'cyclegan', 'supervised'"),
        ("data.kind=simulated", r"data\.kind=simulated does not go with data\.pairs"),
        ("decay_from=1.5", r"decay_from = 1\.5; .*less than or equal to 1"),
        ("data.matched_noise=0.5", "needs the same unit and scaling"),
        ("steps=0", r"steps = 0; .*greater than or equal to 1"),
        ("steps=1.5", r"steps = 1\.5; .*integer"),
        ("ema_decay=1", r"ema_decay = 1; .*less than 1"),
        ("engine.directions=a-to-b", r"losses\.cycle 0\.5 needs both directions"),
        ("accumulate=3", "batch_size 1 cannot be worked through in accumulate 3"),
        ("data.size_px=16", r"data\.size_px 16 is below 32"),
        ("data.depth=4", "depth 4 must be odd"),
        ("data.b.scaling.lower=3000", "must be below upper"),
        ("engine.discriminator.layers=9", r"engine\.discriminator\.layers = 9"),
        ("generator.kind=transformer", r"generator\.kind = 'transformer'"),
        ("name=a/b", "name = 'a/b'"),
        ("precision=float16", "precision = 'float16'"),
        ("steps", "is no setting; a setting is key=value"),
        ("=5", "is no setting"),
        ("losses..cycle=5", "is no setting"),
        ("steps.more=5", r"steps has no keys below it"),
        ("steps=[1", r"'\[1' cannot be read as a value"),
    ],
)
def test_what_breaks_a_rule_is_told_by_key_value_and_rule(
    change: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        read(written(tmp_path), change)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps: 20000", "steps: 20000\nsteps: 5", "the key steps is there twice"),
        ("    cycle: 0.5", "    cycle: 0.5\n    cycle: 2.0", "the key cycle is there twice"),
        ("losses:  #", "losses: [  #", "cannot be read as YAML"),
        ("name: mr_ct", "name: !!python/object/apply:os.getcwd []", "cannot be read as YAML"),
        ("summary: ", "sumary: ", "summary"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        read(written(tmp_path, (old, new)))
    assert "mine.yaml" in str(refused.value)


@pytest.mark.parametrize("content", ["", "[1, 2]", "text"])
def test_what_holds_no_keys_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"mine\.yaml"):
        read(path)
    with pytest.raises(UsageError, match="holds no keys"):
        read(path, "steps=1")


def test_a_config_is_found_by_name_or_path(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert find_config(str(path)) == path
    assert find_config("mr_ct").name == "mr_ct.yaml"
    with pytest.raises(UsageError, match=r"one of ct_denoise, .*xray_ct, or a YAML file"):
        find_config("none")
    assert find_config("head_mr_ct").name == "head_mr_ct.yaml"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "engine.losses.cycel=1",
            (
                "engine.losses.cycel = 1",
                "no key engine.losses.cycel",
                "perhaps engine.losses.cycle is meant",
            ),
        ),
        ("data.size_pix=1", ("no key data.size_pix", "perhaps data.size_px is meant")),
        ("foo.bar=1", ("the setting foo.bar=1", "no key foo", "known are")),
        ("engine.losses.cycle=-1", ("engine.losses.cycle = -1", "correct the setting")),
        (
            "engine.losses=5",
            ("engine.losses = 5", "it holds keys and values", "cycle", "correct the setting"),
        ),
        (
            "engine.generator.width=8",
            ("the setting engine.generator.width=8", "perhaps generator, which does not belong"),
        ),
    ],
)
def test_a_wrong_setting_on_the_command_line_is_named_and_not_the_file(
    change: str, words: tuple[str, ...]
) -> None:
    path = shipped_configs()["mr_ct"]
    with pytest.raises(UsageError) as refused:
        read_settings(path, TrainConfig, changes=[change])
    said = str(refused.value)
    assert all(word in said for word in words)
    assert "Extra inputs" not in said
    assert str(path) not in said


def refusal(*changes: str) -> str:
    with pytest.raises(UsageError) as refused:
        read_settings(shipped_configs()["mr_ct"], TrainConfig, changes=changes)
    return str(refused.value)


def test_a_rule_on_several_keys_names_the_settings_and_dumps_none() -> None:
    said = refusal("batch_size=3", "accumulate=2")
    assert "batch_size=3, accumulate=2 and " in said
    assert "batch_size 3 cannot be worked through" in said
    assert "correct the setting" in said
    assert "{" not in said
    assert "Value error" not in said


def test_a_rule_on_several_keys_below_one_dumps_none() -> None:
    said = refusal("engine.losses={adversarial: 0, cycle: 0, identity: 0, structure: 0}")
    assert "nothing to learn" in said
    assert "correct the setting" in said


def test_keys_that_another_kind_does_not_have_are_laid_to_the_change_of_kind() -> None:
    said = refusal("engine.kind=supervised")
    assert "engine.kind=supervised does not go with engine." in said
    assert "mr_ct.yaml sets" in said
    assert "{" not in said


def test_a_file_that_breaks_a_rule_on_several_keys_is_not_dumped(tmp_path: Path) -> None:
    text = shipped_configs()["mr_ct"].read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(text + "\naccumulate: 7\n", encoding="utf-8")
    with pytest.raises(UsageError, match="correct the file") as refused:
        read_settings(path, TrainConfig)
    assert "{" not in str(refused.value)


def test_an_unknown_key_of_a_file_names_the_file(tmp_path: Path) -> None:
    text = shipped_configs()["mr_ct"].read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(text + "\nsurprise: 1\n", encoding="utf-8")
    with pytest.raises(UsageError, match="there is no key surprise") as refused:
        read_settings(path, TrainConfig)
    assert str(path) in str(refused.value)
