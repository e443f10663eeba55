// The report of a results folder: complete, empty, with runs cut off, and with damaged files.
#include "experiments/report/report.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/report/page.h"
#include "kernels/base/check.h"
#include "tests/experiments/report/synthetic_results.h"
#include "tests/experiments/report/xml_check.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

using namespace basin;
using namespace basin::report;
using basin::test::contains;
namespace fs = std::filesystem;

namespace {

std::size_t occurrences(const std::string& text, const std::string& part) {
  return between(text, part, "").size();
}

std::string report_of(const fs::path& folder) {
  write_report(folder);
  return read_text(folder / "report.html");
}

// With ordinary hyphens and spaces in place of those that do not break.
std::string plain(std::string text) {
  for (const auto& [from, to] : {std::pair("\u2011", "-"), std::pair("\u00a0", " ")}) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
      text.replace(at, std::string_view(from).size(), to);
    }
  }
  return text;
}

// The box of the claim whose statement begins with, or holds, `statement`.
std::string claim_box(const std::string& html, const std::string& statement) {
  for (const std::string& box : between(html, "<div class=\"claim\"", "</div>\n</div>")) {
    if (contains(plain(box.substr(0, box.find("</h3>"))), statement)) return box;
  }
  return "";
}

// A results folder of made-up numbers, with `runs` runs of each kind.
struct ResultsFolder {
  explicit ResultsFolder(int runs) { write_synthetic_results(root, runs); }
  std::string report() const { return report_of(root); }
  // The box of a claim in the report as the folder is now.
  std::string claim(const std::string& statement) const { return claim_box(report(), statement); }

  TemporaryFolder folder;
  const fs::path root = folder.path, analyses = root / "analyses";
};

// Verdicts of the synthetic folder: learning curves 3 + 3 + 1 pair of targets, shuffling 2 + 1 + 1
// + 2, mistakes 6, features 6, distances 6, barriers 9 + 4 of equal starts + 2 on the AUC target,
// extent 6, rewinding 6, criticality 6, checkpoints 4.
constexpr std::size_t kFindings = 7 + 6 + 6 + 6 + 6 + 15 + 6 + 6 + 6 + 4;

const char kYes[] = "badge yes\">reproduced";
const char kNo[] = "badge no\">not reproduced";
const char kFew[] = "badge open\">not enough data";
const char kNotRun[] = "badge open\">not run";

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
  const ResultsFolder results(3);
  const std::string html = results.report();
  CHECK(!contains(html, "Damaged files"));
  CHECK(contains(html, "name=\"viewport\""));
  CHECK(!contains(html, "<script"));
  CHECK(!contains(html, "src=\"http"));
  // The made-up numbers bear out every claim. Each verdict stands in the overview and in its
  // claim's box.
  CHECK(occurrences(html, kYes) == 2 * kFindings);
  CHECK(occurrences(html, kNo) == 0);
  CHECK(occurrences(html, kFew) == 0);
  CHECK(occurrences(html, kNotRun) == 0);
  CHECK(contains(html, "data:image/png;base64,iVBORw0KGgo"));
  CHECK(contains(html, "show direction only"));
  CHECK(contains(html, "815.08"));  // Table 2
  CHECK(contains(html, "n\u00a0=\u00a03"));
  CHECK(contains(html, "0.6225"));  // Table 1
  CHECK(contains(html, "off the plot"));
  // Pre-training 2, finals 2 (accuracy, AUC); per target 2 curves, 2 CKA, 2 distances, 4 lines, 3
  // of extents, 3 rewindings, 1 + 5 criticalities, 2 spectra; on two targets 3 of shuffling and 2
  // of checkpoints; one of the paper's own drops.
  const std::vector<std::string> charts = between(html, "<svg", "</svg>");
  CHECK(charts.size() == 2 + 2 + 3 * (2 + 2 + 2 + 4 + 3 + 3 + 6 + 2) + 2 * (3 + 2) + 1);
  for (const std::string& chart : charts) CHECK(xml_error("<svg" + chart + "</svg>") == "");
  // Every linked file is there.
  for (const std::string& target : between(html, "href=\"", "\"")) {
    if (target.starts_with("#")) continue;
    CAPTURE(target);
    CHECK(fs::exists(results.root / target));
  }
  CHECK(occurrences(read_text(results.root / "figures/learning-photo-test.csv"), "\n") ==
        1 + 2 * 31);
}

TEST_CASE("an empty folder and one without a plan are reported as not run") {
  const TemporaryFolder folder;
  const std::string html = report_of(folder.path);
  CHECK(contains(html, "plan.json is missing"));
  CHECK(occurrences(html, kYes) == 0);
  CHECK(occurrences(html, kNo) == 0);
  CHECK(occurrences(html, "not run</span>") > 8);
  CHECK(!contains(html, "<svg"));
  CHECK_THROWS_AS(write_report(folder.path / "absent"), Error);
}

TEST_CASE("a plan of which nothing has run") {
  const ResultsFolder results(2);
  fs::remove_all(results.root / "runs");
  fs::remove_all(results.analyses);
  fs::remove_all(results.root / "sheets");
  const std::string html = results.report();
  CHECK(!contains(html, "Damaged files"));
  CHECK(occurrences(html, kYes) == 0);
  CHECK(occurrences(html, kNo) == 0);
  CHECK(contains(html, "Rewinding. <span class=\"badge open\">not run"));
  CHECK(contains(html, "Training on quickdraw."));
}

TEST_CASE("a run without its DONE marker does not count") {
  const ResultsFolder results(2);
  fs::remove(results.root / "runs/photo-finetune-2/DONE");
  const std::string html = results.report();
  CHECK(contains(html, "n\u00a0=\u00a01 of 2"));
  // Final performance and speed on photo, the comparison of gains, and what is left of one seed:
  // three verdicts on shuffled photos and two on checkpoints.
  CHECK(occurrences(html, kFew) == 2 * (2 + 1 + 3 + 2));
}

TEST_CASE("a claim the numbers contradict is not reproduced") {
  const ResultsFolder results(3);
  // Swap what was fine-tuned with what was not, on one target.
  for (int run = 1; run <= 3; ++run) {
    const fs::path finetune = results.root / ("runs/photo-finetune-" + std::to_string(run));
    const fs::path randinit = results.root / ("runs/photo-randinit-" + std::to_string(run));
    fs::rename(finetune, results.root / "runs/swap");
    fs::rename(randinit, finetune);
    fs::rename(results.root / "runs/swap", randinit);
  }
  const std::string html = results.report();
  // Transfer and speed on photo, and its gain above that on quickdraw. The main runs are also the
  // unshuffled ones and those from the last checkpoint.
  CHECK(occurrences(html, kNo) >= 2 * 3);
  for (const char* claim : {"transfer raises final test performance", "P-T learns faster",
                            "The gain is larger on targets nearer"}) {
    CAPTURE(claim);
    const std::string box = claim_box(html, claim);
    CHECK(occurrences(box, kNo) == 1);
  }
  const std::string rewinding = claim_box(html, "Rewinding the stem");
  CHECK(occurrences(rewinding, kYes) == 3);
}

TEST_CASE("damaged files are named and the rest is reported") {
  const ResultsFolder results(3);
  struct Damage {
    const char *file, *content, *message;  // the message follows the file's name
  };
  const Damage damages[] = {
      {"runs/photo-finetune-1/metrics.csv", "epoch,test_accuracy\n0,0.1\n1\n", ":3: 1 cells"},
      {"runs/photo-randinit-2/result.json", "{\"final\": {\"test_accuracy\": 0.5", ""},
      {"runs/quickdraw-randinit-3/result.json", "{\"final\": {\"test_accuracy\": \"x\"}}", ""},
      {"analyses/interpolate-photo-finetune-finetune/interpolation.csv",
       "lambda,loss,accuracy\n0,1,0.5\n0.5,<b>,0.5\n1,1,0.5\n", ":3: &#39;&lt;b&gt;&#39;"},
      {"analyses/interpolate-photo-randinit-randinit/interpolation.csv",
       "lambda,loss,accuracy\n0,1,0.5\n", ": barrier"},
      {"analyses/interpolate-photo-same_init/interpolation.csv",
       "lambda,loss,accuracy\n0,1,0.5\n0.5,1,0.5\n0.9,1,0.5\n", ": barrier"},
      {"analyses/interpolate-quickdraw-randinit-randinit/result.json", "{\"images\": ", ": "},
      {"analyses/rewind-photo-finetune/rewind.csv", "module,loss\nnone,1\n",
       ":1: no column &#39;accuracy&#39;"},
      {"analyses/distance-photo/distance.csv", "pair,module,distance,norm_a,norm_b\na,b,,1,1\n",
       ": row 1 has no distance"},
      {"sheets/photo.png", "GIF89a", ""},
      {"analyses/mistakes-photo-finetune-finetune/mistakes.csv",
       "label,items,both_wrong,only_first_wrong,only_second_wrong\nall,10,9,9,9\n",
       ": row 1 has 27 mistakes on 10 items"},
      {"analyses/cka-photo-finetune-finetune/cka.csv", "module,cka,aligned_cka\nconv1,high,\n",
       ":2: &#39;high&#39;"},
      {"analyses/extent-photo-finetune-finetune/result.json", "{\"delta\": 3}",
       ": no number epsilon"},
      {"analyses/extent-quickdraw-finetune-finetune/deltas.csv", "delta\n3\n", ":1: no column"},
      {"analyses/criticality-photo-finetune/heat.csv",
       "module,path,column,row,distance,noise,loss,accuracy\nconv1,direct,1e300,0,0,0,1,0.5\n",
       ": row 1 has the column 1e+300"},
      {"analyses/criticality-photo-randinit/criticality.csv", "module,path\na,b\n",
       ":1: no column"},
      {"analyses/spectrum-photo/summary.csv", "network,module\ninit,all\n", ":1: no column"},
      {"analyses/mistakes-quickdraw-randinit-finetune/both_wrong.png", "BM", ": not a PNG file"}};
  for (const Damage& damage : damages) write_text(results.root / damage.file, damage.content);
  const std::string html = results.report();
  CHECK(contains(html, "Damaged files"));
  for (const Damage& damage : damages) {
    CAPTURE(damage.file);
    CHECK(contains(html, damage.file + std::string(damage.message)));
  }
  CHECK(!contains(html, "<b>&"));
  // mosaic is whole: its verdicts stand, as far as they need no other target.
  CHECK(occurrences(html, kYes) >= 2 * 21);
  CHECK(contains(html, "mosaic: distance of each module"));
}

TEST_CASE("an analysis that was cut off counts as not run") {
  const ResultsFolder results(2);
  fs::remove(results.analyses / "rewind-photo-finetune/DONE");
  fs::remove(results.analyses / "interpolate-quickdraw-randinit-randinit/DONE");
  const std::string html = results.report();
  CHECK(!contains(html, "Damaged files"));
  CHECK(occurrences(claim_box(html, "In P-T the classifier"), kNotRun) == 1);
  CHECK(occurrences(claim_box(html, "A barrier between two RI-T"), kNotRun) == 1);
  CHECK(occurrences(claim_box(html, "No barrier between two P-T"), kYes) == 3);
}

TEST_CASE("the number of images an analysis looked at sets its band") {
  const ResultsFolder results(2);
  const fs::path line = results.analyses / "interpolate-photo-finetune-finetune";
  const std::string statement = "No barrier between two P-T";
  CHECK(occurrences(results.claim(statement), kYes) == 3);
  write_text(line / "result.json", "{\"images\": 100}");  // a band of more than 5 points
  const std::string box = results.claim(statement);
  CHECK(occurrences(box, kFew) == 1);
  CHECK(occurrences(box, kYes) == 2);
}

TEST_CASE("a best checkpoint that is the last one shows no barrier and no lack of one") {
  const ResultsFolder results(2);
  for (const char* kind : {"finetune", "randinit"}) {
    const std::string name = std::string("interpolate-mosaic-") + kind + "_best-" + kind;
    write_text(results.analyses / name / "interpolation.csv",
               "lambda,loss,auc\n0,0.7,0.8\n0.5,0.7000000001,0.8\n1,0.7,0.8\n");
    write_text(results.analyses / name / "result.json", "{}");
  }
  const std::string html = results.report();
  for (const char* statement : {"No barrier between the best", "A barrier even between the best"}) {
    CAPTURE(statement);
    CHECK(occurrences(claim_box(html, statement), kFew) == 1);
  }
}

TEST_CASE("a folder of a plan that lists only its main runs") {
  const ResultsFolder results(3);
  // As plans were before they had further experiments: no list of runs, rewinding to the start
  // only, no marker in the analyses.
  std::string plan = read_text(results.root / "plan.json");
  const std::size_t at = plan.find("\"runs\":");
  REQUIRE(at != std::string::npos);
  plan.replace(at, 6, "\"past\"");
  write_text(results.root / "plan.json", plan);
  const fs::path rewinding = results.analyses / "rewind-photo-finetune";
  write_text(rewinding / "rewind.csv",
             "module,loss,accuracy\nnone,0.7,0.83\nconv1,0.8,0.82\nfc,2,0.1\n");
  fs::remove(rewinding / "config.json");
  fs::remove(rewinding / "DONE");
  for (const char* analysis : {"mistakes", "cka", "extent", "criticality", "spectrum"}) {
    for (const auto& entry : fs::directory_iterator(results.analyses)) {
      if (entry.path().filename().string().starts_with(analysis)) fs::remove_all(entry.path());
    }
  }
  const std::string html = results.report();
  CHECK(!contains(html, "Damaged files"));
  CHECK(occurrences(claim_box(html, "In P-T the classifier"), kYes) == 3);
  CHECK(occurrences(claim_box(html, "P-T beats RI-T"), kYes) == 3);
  for (const char* statement :
       {"Performance falls as the blocks", "Two P-T share more of their mistakes than two RI-T",
        "The features of two P-T", "Two P-T span", "The modules of RI-T", "A checkpoint before"}) {
    CAPTURE(statement);
    const std::string box = claim_box(html, statement);
    CHECK(occurrences(box, kNotRun) >= 2);
    CHECK(occurrences(box, kYes) + occurrences(box, kNo) + occurrences(box, kFew) == 0);
  }
}

TEST_CASE("a damaged plan still gives a report") {
  for (const char* plan :
       {"", "[]", "{", "3", "{\"targets\": 5}", "{\"targets\": [5, {\"name\": \"a/b\"}]}",
        "{\"targets\": [{\"name\": \"photo\", \"test_size\": 0}]}", "{\"source\": {}}",
        "{\"title\": 5, \"sheets\": [{}]}",
        "{\"runs\": [{\"path\": \"runs/a\", \"start\": \"b\"}]}"}) {
    CAPTURE(plan);
    const TemporaryFolder folder;
    write_text(folder.path / "plan.json", plan);
    const std::string html = report_of(folder.path);
    CHECK(contains(html, "<li>plan.json"));
    CHECK(occurrences(html, kYes) == 0);
  }
}

TEST_CASE("texts of the plan cannot become markup") {
  const TemporaryFolder folder;
  write_text(folder.path / "plan.json",
             "{\"title\": \"<script>alert(1)</script>\", \"targets\": [{\"name\": \"<i>x\"}]}");
  const std::string html = report_of(folder.path);
  CHECK(!contains(html, "<script"));
  CHECK(!contains(html, "<i>"));
  CHECK(contains(html, "&lt;script&gt;"));
}
