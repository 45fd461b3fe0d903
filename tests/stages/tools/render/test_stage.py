"""render through execute(): overlays, skip, rerun, resumption, damaged predictions."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.errors import ConfigError, CorruptInput, MissingInput
from schemas.layouts import EXPRESSIONS_TABLE, MASKS_TABLE
from schemas.parquet import read_table, rows_of, write_table
from schemas.tables import EXPRESSIONS, MASKS
from stages.core.engine.execute import Outcome, execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.media.ffmpeg import ffmpeg_binary
from stages.core.media.frames import read_frame
from stages.core.media.palette import AGREEMENT, EXTRA, MISSED, SENTENCES
from stages.tools.render.config import RenderConfig, RenderInputs
from stages.tools.render.source import plan_render
from stages.tools.render.stage import STAGE

Run = Callable[..., Outcome]
SHEET = RenderConfig(format="sheet", cells=2)


def files_of(folder: Path) -> list[str]:
    return sorted(
        p.relative_to(folder).as_posix() for p in folder.glob("*/*.*") if ".tgl" not in str(p)
    )


def has(image: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((image == colour).all(axis=2).any())


def decoded(video: Path, height: int, width: int) -> np.ndarray:
    """Every frame of a video, (T, H, W, 3)."""
    command = [ffmpeg_binary(), "-loglevel", "error", "-i", str(video)]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def test_a_sheet_for_each_sentence_against_truth(run_stage: Run, world, tmp_path: Path) -> None:
    outcome = run_stage(STAGE, SHEET, world.inputs, tmp_path / "out")
    assert files_of(tmp_path / "out") == ["a/0.png", "a/1.png", "a/2.png", "b/0.png"]
    assert outcome.counts["overlays"] == outcome.counts["expressions"] == 4
    assert outcome.counts["frames drawn"] == 8
    image = read_frame(tmp_path / "out" / "a" / "0.png")
    assert image.shape[1] >= 2 * 256 * 40 / 30
    assert has(image, MISSED)
    assert has(image, EXTRA)


def test_without_target_or_prediction_no_region_is_drawn(run_stage: Run, world, tmp_path) -> None:
    run_stage(STAGE, replace(SHEET, only=("a/1",)), world.inputs, tmp_path / "out")
    top = read_frame(tmp_path / "out" / "a" / "1.png")[:250]
    assert not any(has(top, colour) for colour in (AGREEMENT, MISSED, EXTRA))


def test_sentences_together_each_in_its_colour(run_stage: Run, world, tmp_path: Path) -> None:
    config = replace(SHEET, compare="sentences", sentences=2)
    run_stage(STAGE, config, world.inputs, tmp_path / "out")
    names = ["a/sentences-0-to-1.png", "a/sentences-2.png", "b/sentences-0.png"]
    assert files_of(tmp_path / "out") == names
    image = read_frame(tmp_path / "out" / "a" / "sentences-0-to-1.png")
    assert has(image, SENTENCES[0])
    assert has(image, SENTENCES[1])
    assert not has(image, SENTENCES[2])


def test_mp4_has_every_frame_and_the_videos_rate(run_stage: Run, world, tmp_path: Path) -> None:
    config = RenderConfig(only=("b",), quality=0)
    outcome = run_stage(STAGE, config, world.inputs, tmp_path / "out")
    assert outcome.counts["frames drawn"] == 5
    path = tmp_path / "out" / "b" / "0.mp4"
    shown = subprocess.run([ffmpeg_binary(), "-i", str(path)], capture_output=True, text=True)
    assert "10 fps" in shown.stderr
    width = 480  # 40 x 30 pixels grow by the factor 12 to a shorter side of 360
    assert f" {width}x" in shown.stderr
    height = int(shown.stderr.split(f" {width}x")[1].split()[0].rstrip(","))
    frames = decoded(path, height, width)
    assert len(frames) == 5
    assert height > 360
    assert (frames[0] != frames[4]).any()  # the marker moved
    for colour in (AGREEMENT, MISSED, EXTRA):  # true but for rounding to YUV and back
        nearest = np.abs(frames[0].astype(int) - colour).max(axis=2).min()
        assert nearest <= 3
    assert "bt709" in shown.stderr


def test_gif_has_every_frame_and_exact_legend_colours(run_stage: Run, world, tmp_path) -> None:
    run_stage(STAGE, RenderConfig(format="gif", only=("b",)), world.inputs, tmp_path / "out")
    with Image.open(tmp_path / "out" / "b" / "0.gif") as image:
        assert image.n_frames == 5
        assert image.info["duration"] == 100
        image = np.asarray(image.convert("RGB"))
    assert all(has(image, colour) for colour in (AGREEMENT, MISSED, EXTRA))


def test_a_very_short_side_and_an_odd_size_are_honoured(run_stage: Run, world, tmp_path) -> None:
    config = RenderConfig(only=("b",), short_side=65)
    run_stage(STAGE, config, world.inputs, tmp_path / "out")
    assert (tmp_path / "out" / "b" / "0.mp4").stat().st_size > 0
    with pytest.raises(ConfigError, match="too small to read"):
        RenderConfig(short_side=10)


def test_second_run_skips_and_other_settings_draw_again(run_stage: Run, world, tmp_path) -> None:
    assert not run_stage(STAGE, SHEET, world.inputs, tmp_path / "out").skipped
    again = run_stage(STAGE, SHEET, world.inputs, tmp_path / "out")
    assert again.skipped
    assert again.counts["overlays"] == 4
    other = run_stage(STAGE, replace(SHEET, cells=3), world.inputs, tmp_path / "out")
    assert not other.skipped
    assert other.counts["frames drawn"] == 12


@pytest.mark.parametrize(("format", "workers"), [("mp4", 1), ("gif", 1), ("sheet", 2)])
def test_the_bytes_depend_on_nothing_but_the_inputs(
    run_stage: Run, world, tmp_path: Path, format: str, workers: int
) -> None:
    config = RenderConfig(format=format)
    run_stage(STAGE, config, world.inputs, tmp_path / "one")
    run_stage(STAGE, config, world.inputs, tmp_path / "two", workers=workers)
    for name in files_of(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_cluster_draws_the_same(run_stage: Run, world, scheduler: str, tmp_path: Path) -> None:
    run_stage(STAGE, SHEET, world.inputs, tmp_path / "here")
    runtime = Runtime(workers=1, scheduler=scheduler)
    out = tmp_path / "there"
    execute(STAGE, SHEET, world.inputs, out, runtime=runtime, progress=SilentProgress())
    assert files_of(out) == files_of(tmp_path / "here")
    for name in files_of(out):
        assert (out / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


def test_a_killed_run_resumes(run_stage: Run, killed_run, world, tmp_path) -> None:
    killed_run(STAGE, SHEET, world.inputs, tmp_path / "out", 7)  # in the second video
    assert not (tmp_path / "out").exists()
    run_stage(STAGE, SHEET, world.inputs, tmp_path / "out")
    run_stage(STAGE, SHEET, world.inputs, tmp_path / "fresh")
    for name in files_of(tmp_path / "fresh"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()


def test_a_changed_prediction_redraws_its_video_alone(run_stage: Run, world, tmp_path) -> None:
    run_stage(STAGE, SHEET, world.inputs, tmp_path / "out")
    inode = (tmp_path / "out" / "a" / "0.png").stat().st_ino
    Image.new("L", (40, 30), 255).save(world.mask("b", "0", 0))
    outcome = run_stage(STAGE, SHEET, world.inputs, tmp_path / "out")
    assert not outcome.skipped
    assert (tmp_path / "out" / "a" / "0.png").stat().st_ino == inode


def test_a_damaged_prediction_is_one_line_and_the_others_are_drawn(
    run_stage: Run, world, tmp_path: Path
) -> None:
    path = world.mask("a", "2", 0)
    path.write_bytes(path.read_bytes()[:40])
    outcome = run_stage(STAGE, SHEET, world.inputs, tmp_path / "out")
    assert len(outcome.failures) == 1
    assert str(path) in outcome.failures["a"]
    assert "\n" not in outcome.failures["a"]
    assert outcome.counts["failed videos"] == 1
    assert files_of(tmp_path / "out") == ["b/0.png"]


def test_a_missing_frame_of_the_only_video_is_the_error(run_stage: Run, world, tmp_path) -> None:
    path = world.mask("a", "0", 4)
    path.unlink()
    with pytest.raises(MissingInput) as caught:
        run_stage(STAGE, replace(SHEET, only=("a/0",)), world.inputs, tmp_path / "out")
    assert str(path) in str(caught.value)


def test_a_mask_of_another_size_is_refused(run_stage: Run, world, tmp_path: Path) -> None:
    Image.new("L", (20, 30)).save(world.mask("b", "0", 0))
    with pytest.raises(CorruptInput, match="20x30 pixels, the video 40x30"):
        run_stage(STAGE, replace(SHEET, only=("b",)), world.inputs, tmp_path / "out")


def test_a_frame_of_another_size_is_refused(run_stage: Run, world, tmp_path: Path) -> None:
    Image.new("RGB", (20, 30)).save(world.frame("b", 0))
    with pytest.raises(CorruptInput, match="20x30 pixels, the video 40x30"):
        run_stage(STAGE, replace(SHEET, only=("b",)), world.inputs, tmp_path / "out")


def test_expressions_without_prediction_are_counted(run_stage: Run, world, tmp_path: Path) -> None:
    shutil.rmtree(world.mask("a", "2", 0).parent)
    shutil.copytree(world.mask("b", "0", 0).parent, world.root / "preds" / "c" / "7")
    outcome = run_stage(STAGE, SHEET, world.inputs, tmp_path / "out")
    assert outcome.counts["expressions"] == 3
    assert outcome.counts["expressions without prediction"] == 1
    assert outcome.counts["predictions without frames or sentence"] == 1


def test_limit_counts_expressions_over_videos(run_stage: Run, world, tmp_path: Path) -> None:
    run_stage(STAGE, replace(SHEET, limit=2), world.inputs, tmp_path / "out")
    assert files_of(tmp_path / "out") == ["a/0.png", "a/1.png"]


def test_nothing_that_fits_is_an_error(run_stage: Run, world, tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="no predictions of z that fit"):
        run_stage(STAGE, replace(SHEET, only=("a", "z")), world.inputs, tmp_path / "out")
    with pytest.raises(MissingInput, match="no such folder"):
        inputs = replace(world.inputs, preds=tmp_path / "nowhere")
        run_stage(STAGE, SHEET, inputs, tmp_path / "out")


def test_bare_folders_of_frames_in_three_layouts(run_stage: Run, world, tmp_path: Path) -> None:
    (world.root / "extracted").mkdir()
    shutil.copytree(world.root / "frames", world.root / "extracted" / "JPEGImages")
    alone = world.root / "alone"
    shutil.copytree(world.root / "preds" / "b", alone / "b")
    for preds, frames in [
        (world.root / "preds", world.root / "frames"),
        (world.root / "preds", world.root / "extracted"),
        (alone, world.root / "frames" / "b"),
    ]:
        inputs = RenderInputs(preds, frames)
        run_stage(STAGE, SHEET, inputs, tmp_path / "out", force=True)
        assert "b/sentences-0.png" in files_of(tmp_path / "out")


def test_frames_of_a_bare_folder_go_by_their_numbers(run_stage: Run, world, tmp_path: Path) -> None:
    renamed = ["f1", "f2", "f3", "f10", "f11"]
    folders = (world.root / "frames" / "b", world.root / "preds" / "b" / "0")
    for folder in folders:
        for number, name in enumerate(renamed):
            (folder / f"{number:05d}.png").rename(folder / f"{name}.png")
    inputs = RenderInputs(world.root / "preds", world.root / "frames")
    videos = {video.video_id: video for video in plan_render(SHEET, inputs).videos}
    assert [path.stem for path in videos["b"].frames] == renamed
    progress = SilentProgress()
    run_stage(STAGE, SHEET, inputs, tmp_path / "out", progress=progress)
    assert progress.warnings == [
        "b: frames are ordered by the numbers in their names, f1.png to f11.png, not as text",
        "b: 1 gap in the frame numbers, first from f3.png to f10.png; such frames follow each "
        "other",
    ]


def test_truth_needs_an_index_with_masks(run_stage: Run, world, tmp_path: Path) -> None:
    config = replace(SHEET, compare="truth")
    with pytest.raises(ConfigError, match="needs an index"):
        inputs = RenderInputs(world.root / "preds", world.root / "frames")
        run_stage(STAGE, config, inputs, tmp_path / "out")
    write_table(world.root / "index" / MASKS_TABLE, MASKS.schema.empty_table(), MASKS)
    with pytest.raises(ConfigError, match="has no masks"):
        run_stage(STAGE, config, world.inputs, tmp_path / "out")
    run_stage(STAGE, SHEET, world.inputs, tmp_path / "out")
    assert "a/sentences-0-to-2.png" in files_of(tmp_path / "out")


def test_predictions_of_a_longer_video_are_refused(run_stage: Run, world, tmp_path: Path) -> None:
    path = world.root / "frames" / "b" / "00004.png"
    path.unlink()
    with pytest.raises(CorruptInput, match="names frame 3 of video b, which has 3"):
        (world.root / "frames" / "b" / "00003.png").unlink()
        inputs = RenderInputs(world.root / "preds", world.root / "frames")
        run_stage(STAGE, SHEET, inputs, tmp_path / "out")


def test_characters_that_the_font_lacks_are_reported(run_stage: Run, world, tmp_path: Path) -> None:
    path = world.root / "index" / EXPRESSIONS_TABLE
    rows = read_table(path, EXPRESSIONS).to_pylist()
    rows[0]["expression"] = "牛が跳ぶ"
    write_table(path, rows_of(rows, EXPRESSIONS), EXPRESSIONS)
    progress = SilentProgress()
    run_stage(STAGE, SHEET, world.inputs, tmp_path / "out", progress=progress)
    assert "lacks 4 characters" in progress.warnings[0]


def test_a_broken_truth_names_its_track(run_stage: Run, world, tmp_path: Path) -> None:
    path = world.root / "index" / MASKS_TABLE
    rows = read_table(path, MASKS).to_pylist()
    for row in rows:
        row["height"], row["width"] = 15, 80
    write_table(path, rows_of(rows, MASKS), MASKS)
    with pytest.raises(CorruptInput, match="anno id b0, frame 0: the true mask is 80x15"):
        run_stage(STAGE, replace(SHEET, only=("b",)), world.inputs, tmp_path / "out")
