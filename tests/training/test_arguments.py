# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from pathlib import Path

import pytest

from seeclear import PixelCondenser
from seeclear.shipped import SHIPPED_WEIGHTS
from seeclear.training.arguments import parse_arguments, read_configuration

MINIMAL = ["--preset", "tiny", "--train_data_dir", "clips", "--output_dir", "out"]


def test_minimal_arguments_are_enough() -> None:
    args = parse_arguments([*MINIMAL, "--train_data_dir", "more"])
    assert args.train_data_dir == ["clips", "more"]
    assert (args.stage, args.resolution, args.num_frames) == ("condenser", 192, 5)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--preset", "tiny", "--output_dir", "out"], "no training data"),
        (["--preset", "tiny", "--data_config", "data.json", "--output_dir", "out"], "--data_config needs --data_root"),
        (["--train_data_dir", "clips", "--output_dir", "out"], "no model"),
        ([*MINIMAL, "--pretrained_model_name_or_path", "x"], "exclude each other"),
        (
            [*MINIMAL[2:], "--pretrained_model_name_or_path", "x", "--condenser_config", "c.json"],
            "a saved model has its",
        ),
        ([*MINIMAL, "--lpips_weight", "0.1"], "--lpips_weight needs --lpips_weights_path"),
        ([*MINIMAL, "--dists_weight", "0.1"], "--dists_weight needs --lpips_weights_path"),
        (
            [*MINIMAL, "--adversarial_weight", "1", "--mixed_precision", "fp16"],
            "does not go with --mixed_precision fp16",
        ),
        ([*MINIMAL, "--lpips_frames", "0"], "--lpips_frames is 0; it must be at least 1"),
        ([*MINIMAL, "--lpips_crop_size", "8"], "--lpips_crop_size is 8; it must be at least 16"),
        ([*MINIMAL, "--train_distiller", "all", "--stage", "memory"], "does not go with --stage memory"),
        ([*MINIMAL, "--train_distiller", "projections", "--stage", "refinement"], "a part of the condenser alone"),
        ([*MINIMAL, "--checkpoints_total_limit", "0"], "--checkpoints_total_limit is 0; it must be at least 1"),
        (
            [*MINIMAL, "--final_timestep_probability", "2"],
            r"--final_timestep_probability is 2.0; it must be in [0, 1]",
        ),
        (
            [*MINIMAL, "--prior_frames", "8"],
            "--prior_frames is 8; it must be what is trained on, 5, or more by an even",
        ),
        (
            [*MINIMAL, "--prior_frames", "3"],
            "--prior_frames is 3; it must be what is trained on, 5, or more by an even",
        ),
        (
            [*MINIMAL, "--prior_frames", "9", "--stage", "joint"],
            "--prior_frames is 9; it must be what is trained on, 10,",
        ),
        ([*MINIMAL, "--prior_probability", "-1"], r"--prior_probability is -1.0; it must be in [0, 1]"),
    ],
)
def test_wrong_arguments_end_with_code_2_and_their_reason(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse_arguments(argv)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_the_configuration_of_a_saved_network_replaces_that_of_a_preset() -> None:
    path = SHIPPED_WEIGHTS / "seeclear-tiny" / "pixel_condenser" / "config.json"
    read = read_configuration(PixelCondenser, {"head_dim": 4, "scale": 2}, str(path))
    shipped = PixelCondenser.from_pretrained("seeclear-tiny", subfolder="pixel_condenser").config
    assert all(name in shipped and shipped[name] == value for name, value in read.items())
    own = PixelCondenser(**read).config
    assert all(own[name] == shipped[name] for name in own if not name.startswith("_"))


def test_a_configuration_replaces_values_of_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "condenser.json"
    path.write_text('{"head_dim": 8}')
    preset = {"head_dim": 16, "scale": 4}
    assert read_configuration(PixelCondenser, preset, None) == preset
    assert read_configuration(PixelCondenser, preset, str(path)) == {"head_dim": 8, "scale": 4}
    for text, message in [
        ("{", "cannot be read as JSON: Expecting property name"),
        ("[1]", r"condenser.json' has \[1\]; it may have values for scale, wavelet_levels"),
        ('{"heads": 1, "head_dim": 8}', r"condenser.json' has \['heads'\]; it may have values for"),
    ]:
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_configuration(PixelCondenser, preset, str(path))
    with pytest.raises(ValueError, match="missing.json' cannot be read as JSON: .*No such file"):
        read_configuration(PixelCondenser, preset, str(tmp_path / "missing.json"))
