// The report of a results folder: complete, empty, with runs cut off, and with damaged files.
#include "experiments/report.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/report_page.h"
#include "kernels/check.h"
#include "tests/experiments/synthetic_results.h"
#include "tests/experiments/xml_check.h"

using namespace basin;
namespace fs = std::filesystem;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

std::string report_of(const fs::path& folder) {
  write_report(folder);
  return read_text(folder / "report.html");
}

// Every <svg> of the page.
std::vector<std::string> charts(const std::string& html) {
  std::vector<std::string> all;
  for (std::size_t at = html.find("<svg"); at != std::string::npos;
       at = html.find("<svg", at + 1)) {
    all.push_back(html.substr(at, html.find("</svg>", at) + 6 - at));
  }
  return all;
}

const char kYes[] = "badge yes\">reproduced";
const char kNo[] = "badge no\">not reproduced";
const char kFew[] = "badge open\">not enough data";

}  // namespace

TEST_CASE("base64 against RFC 4648, links against RFC 3986") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64("\xff\xfe\xfd") == "//79");
  CHECK(encode_url("runs/a b#1.csv") == "runs/a%20b%231.csv");
}

TEST_CASE("a complete folder") {
  const TemporaryFolder folder;
  write_synthetic_results(folder.path(), 3);
  const std::string html = report_of(folder.path());
  CHECK(!contains(html, "Damaged files"));
  CHECK(contains(html, "name=\"viewport\""));
  CHECK(!contains(html, "<script"));
  CHECK(!contains(html, "src=\"http"));
  // Eight claims on three targets, all of which the made-up numbers bear out; each verdict stands
  // in the overview and in its claim's box.
  CHECK(count(html, kYes) == 2 * 24);
  CHECK(count(html, kNo) == 0);
  CHECK(contains(html, "data:image/png;base64,iVBORw0KGgo"));
  CHECK(contains(html, "show direction only"));
  CHECK(contains(html, "815.08"));  // Table 2
  CHECK(contains(html, "n\u00a0=\u00a03"));
  // Pre-training 2, finals 2 (accuracy, AUC), per target 2 curves, 2 lines, 1 rewinding, 1 map.
  const std::vector<std::string> all = charts(html);
  CHECK(all.size() == 2 + 2 + 3 * 6);
  for (const std::string& chart : all) CHECK(xml_error(chart) == "");
  // Every linked file is there.
  for (std::size_t at = html.find("href=\""); at != std::string::npos;
       at = html.find("href=\"", at + 1)) {
    const std::string target = html.substr(at + 6, html.find('"', at + 6) - at - 6);
    if (target.starts_with("#")) continue;
    CAPTURE(target);
    CHECK(fs::exists(folder.path() / target));
  }
  CHECK(count(read_text(folder.path() / "figures/learning-photo-test.csv"), "\n") == 1 + 2 * 31);
}

TEST_CASE("an empty folder and one without a plan are reported as not run") {
  const TemporaryFolder folder;
  const std::string html = report_of(folder.path());
  CHECK(contains(html, "plan.json is missing"));
  CHECK(count(html, kYes) == 0);
  CHECK(count(html, kNo) == 0);
  CHECK(count(html, "not run</span>") > 8);
  CHECK(charts(html).empty());
  CHECK_THROWS_AS(write_report(folder.path() / "absent"), Error);
}

TEST_CASE("a plan of which nothing has run") {
  const TemporaryFolder folder;
  write_synthetic_results(folder.path(), 2);
  fs::remove_all(folder.path() / "runs");
  fs::remove_all(folder.path() / "analyses");
  fs::remove_all(folder.path() / "sheets");
  const std::string html = report_of(folder.path());
  CHECK(!contains(html, "Damaged files"));
  CHECK(count(html, kYes) == 0);
  CHECK(count(html, kNo) == 0);
  CHECK(contains(html, "Rewinding on photo."));
  CHECK(contains(html, "Training on quickdraw."));
}

TEST_CASE("a run without its DONE marker does not count") {
  const TemporaryFolder folder;
  write_synthetic_results(folder.path(), 2);
  fs::remove(folder.path() / "runs/photo-finetune-2/DONE");
  const std::string html = report_of(folder.path());
  CHECK(contains(html, "n\u00a0=\u00a01 of 2"));
  CHECK(count(html, kFew) == 2 * 2);  // final performance and speed on photo
}

TEST_CASE("a claim the numbers contradict is not reproduced") {
  const TemporaryFolder folder;
  write_synthetic_results(folder.path(), 3);
  // Swap what was fine-tuned with what was not, on one target.
  for (int run = 1; run <= 3; ++run) {
    const fs::path finetune = folder.path() / ("runs/photo-finetune-" + std::to_string(run));
    const fs::path randinit = folder.path() / ("runs/photo-randinit-" + std::to_string(run));
    fs::rename(finetune, folder.path() / "runs/swap");
    fs::rename(randinit, finetune);
    fs::rename(folder.path() / "runs/swap", randinit);
  }
  const std::string html = report_of(folder.path());
  CHECK(count(html, kNo) == 2 * 2);
  CHECK(count(html, kYes) == 2 * 22);
}

TEST_CASE("damaged files are named and the rest is reported") {
  const TemporaryFolder folder;
  write_synthetic_results(folder.path(), 3);
  const fs::path& root = folder.path();
  write_text(root / "runs/photo-finetune-1/metrics.csv", "epoch,test_accuracy\n0,0.1\n1\n");
  write_text(root / "runs/photo-randinit-2/result.json", "{\"final\": {\"test_accuracy\": 0.5");
  write_text(root / "runs/quickdraw-randinit-3/result.json",
             "{\"final\": {\"test_accuracy\": \"x\"}}");
  write_text(root / "analyses/interpolate-photo-finetune-finetune/interpolation.csv",
             "lambda,loss,accuracy\n0,1,0.5\n0.5,<b>,0.5\n1,1,0.5\n");
  write_text(root / "analyses/interpolate-photo-randinit-randinit/interpolation.csv",
             "lambda,loss,accuracy\n0,1,0.5\n");
  write_text(root / "analyses/interpolate-quickdraw-randinit-randinit/result.json",
             "{\"barrier_accuracy\": 0.0001}");
  write_text(root / "analyses/rewind-photo-finetune/rewind.csv", "module,loss\nnone,1\n");
  write_text(root / "analyses/distance-photo/distance.csv",
             "pair,module,distance,norm_a,norm_b\na,b,,1,1\n");
  write_text(root / "sheets/photo.png", "GIF89a");
  const std::string html = report_of(root);
  CHECK(contains(html, "Damaged files"));
  for (const char* file :
       {"runs/photo-finetune-1/metrics.csv:3: 1 cells", "runs/photo-randinit-2/result.json",
        "runs/quickdraw-randinit-3/result.json",
        "interpolate-photo-finetune-finetune/interpolation.csv:3: &#39;&lt;b&gt;&#39;",
        "interpolate-photo-randinit-randinit/interpolation.csv: barrier",
        "interpolate-quickdraw-randinit-randinit/result.json: barrier_accuracy is 0.0001",
        "rewind-photo-finetune/rewind.csv:1: no column &#39;accuracy&#39;",
        "distance-photo/distance.csv: row 1 has no distance", "sheets/photo.png"}) {
    CAPTURE(file);
    CHECK(contains(html, file));
  }
  CHECK(!contains(html, "<b>&"));
  // mosaic is whole: its eight verdicts stand.
  CHECK(count(html, kYes) >= 2 * 8);
  CHECK(contains(html, "mosaic: distance of each module"));
}

TEST_CASE("a damaged plan still gives a report") {
  for (const char* plan :
       {"", "[]", "{", "3", "{\"targets\": 5}", "{\"targets\": [5, {\"name\": \"a/b\"}]}",
        "{\"targets\": [{\"name\": \"photo\", \"test_size\": 0}]}", "{\"source\": {}}",
        "{\"title\": 5, \"sheets\": [{}]}"}) {
    CAPTURE(plan);
    const TemporaryFolder folder;
    write_text(folder.path() / "plan.json", plan);
    const std::string html = report_of(folder.path());
    CHECK(contains(html, "<li>plan.json"));
    CHECK(count(html, kYes) == 0);
  }
}

TEST_CASE("texts of the plan cannot become markup") {
  const TemporaryFolder folder;
  write_text(folder.path() / "plan.json",
             "{\"title\": \"<script>alert(1)</script>\", \"targets\": [{\"name\": \"<i>x\"}]}");
  const std::string html = report_of(folder.path());
  CHECK(!contains(html, "<script"));
  CHECK(!contains(html, "<i>"));
  CHECK(contains(html, "&lt;script&gt;"));
}
