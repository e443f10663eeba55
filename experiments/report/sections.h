// The sections of the experiments, one source file each: reads the experiment's tables, draws its
// figures beside the paper's numbers and adds its claims. What was not run is said to be; a damaged
// file becomes a problem of the folder.
#pragma once

#include "experiments/report/page.h"
#include "experiments/report/results.h"

namespace basin::report {

void write_curves(Results& results, Section& section);   // Figure 2
void write_shuffle(Results& results, Section& section);  // Figure 3
void write_mistakes(Results& results, Section& section);
void write_cka(Results& results, Section& section);          // Table 1
void write_distance(Results& results, Section& section);     // Table 2
void write_interpolate(Results& results, Section& section);  // Figures 4 and 16
void write_extent(Results& results, Section& section);       // Definition 3.1
void write_rewind(Results& results, Section& section);       // Figure 5
void write_criticality(Results& results, Section& section);  // Figure 6
void write_spectrum(Results& results, Section& section);
void write_checkpoints(Results& results, Section& section);  // Figure 7

}  // namespace basin::report
