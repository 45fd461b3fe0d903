"""The report's table in a browser: a click on a heading sorts, a word in the box filters."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import pytest

from stages.score.config import ScoreConfig, ScoreInputs
from stages.score.stage import STAGE

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
)
VISIT = """
<script>
{
const cells = (line, kind) => [...line.querySelectorAll(kind)].map(cell => cell.textContent.trim());
const heads = [...document.querySelectorAll("#scores th")];
const box = document.getElementById("filter");
const seen = {};
function note(step) {
  seen[step] = {
    rows: [...document.querySelectorAll("#scores tbody tr")].map(line => cells(line, "td")),
    count: document.getElementById("count").textContent,
    sorted: heads.map(head => head.getAttribute("aria-sort")),
  };
}
function type(word) {
  box.value = word;
  box.dispatchEvent(new Event("input", {bubbles: true}));
}
const place = heads.findIndex(head => head.textContent.trim() === "J");
note("loaded");
heads[place].querySelector("button").click();
note("once");
heads[place].querySelector("button").click();
note("twice");
type("GREEN");
note("filtered");
type("");
note("cleared");
const button = document.querySelector("#scores tbody .open");
button.click();
const opened = document.querySelector("#scores tbody .detail");
seen.opened = {
  tiles: opened.querySelectorAll(".tile").length,
  images: opened.querySelectorAll(".tile img").length,
  worst: opened.querySelectorAll(".tile.worst").length,
  bars: opened.querySelectorAll(".spark .bar").length,
  text: opened.querySelector(".view").textContent,
};
button.click();
seen.closed = document.querySelectorAll("#scores tbody .detail").length;
document.getElementById("address").value = "http://127.0.0.1:8765/?token=x#s=1";
button.click();
seen.link = document.querySelector("#scores tbody .detail a").getAttribute("href");
document.getElementById("address").value = "https://example.org/";
button.click();
button.click();
seen.foreign = document.querySelectorAll("#scores tbody .detail a").length;
const result = document.createElement("pre");
result.id = "seen";
result.textContent = JSON.stringify({place, ...seen});
document.body.append(result);
}
</script>
"""


@pytest.mark.skipif(not BROWSER, reason="needs Chromium or Chrome in PATH")
def test_the_table_sorts_and_filters(mevis, predictions, run_stage, tmp_path):
    mevis.expression("a", "1")["exp"] = "the green one"
    inputs = ScoreInputs(predictions.root, mevis.write())
    out = run_stage(STAGE, ScoreConfig(missing="zero"), inputs, tmp_path / "out").path
    page = tmp_path / "visited.html"
    text = (out / "report.html").read_text().replace("</body>", f"{VISIT}</body>")
    page.write_text(text)
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [BROWSER, *QUIET, profile, "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stdout[-2000:]
    seen = json.loads(html.unescape(found[1]))
    place = seen.pop("place")
    opened, link = seen.pop("opened"), seen.pop("link")
    frames = opened.pop("bars")  # 3 of video b, 6 of video a
    tiles = min(frames, 5)
    assert frames in (3, 6)
    assert (opened["tiles"], opened["images"], opened["worst"]) == (tiles, 2 * tiles, 1)
    assert "tgl view INDEX --preds" in opened["text"]
    assert (seen.pop("closed"), seen.pop("foreign")) == (0, 0)
    assert re.fullmatch(r"http://127\.0\.0\.1:8765/\?token=x#s=[ab]/\d&t=\d", link)
    shares = {step: [float(row[place]) for row in state["rows"]] for step, state in seen.items()}
    assert len(set(shares["loaded"])) > 1
    assert shares["once"] == sorted(shares["loaded"])
    assert shares["twice"] == sorted(shares["loaded"], reverse=True)
    assert seen["once"]["sorted"][place] == "ascending"
    assert seen["twice"]["sorted"][place] == "descending"
    assert [row[2] for row in seen["filtered"]["rows"]] == ["the green one"]
    assert seen["filtered"]["count"] == f"1 of {len(shares['loaded'])} expressions"
    assert shares["cleared"] == shares["twice"]
