// The report of a results folder: what was measured, beside the paper's figures and claims.
#pragma once

#include <filesystem>

namespace basin {

// Reads the results in `folder` (layout: docs of `basin paper`; plan.json, runs/, analyses/,
// sheets/) and writes `folder`/report.html, and what it averages over runs for its figures as
// `folder`/figures/*.csv. What is missing is shown as not run; a file that is damaged is named in
// the report, and the rest is still written. Throws basin::Error only where `folder` is no folder
// or the report cannot be written.
void write_report(const std::filesystem::path& folder);

}  // namespace basin
