// The sections of the experiments, one source file each: reads the experiment's tables, draws its
// figures beside the paper's numbers and adds its claims. What was not run is said to be; a damaged
// file becomes a problem of the folder.
#pragma once

#include "experiments/report/page.h"
#include "experiments/report/results.h"

namespace basin::report {

void write_curves(Results& results, Section& section);       // E1, Figure 2
void write_shuffle(Results& results, Section& section);      // E2, Figure 3
void write_mistakes(Results& results, Section& section);     // E3
void write_cka(Results& results, Section& section);          // E4, Table 1
void write_distance(Results& results, Section& section);     // E5, Table 2
void write_interpolate(Results& results, Section& section);  // E6, Figures 4 and 16
void write_extent(Results& results, Section& section);       // Definition 3.1
void write_rewind(Results& results, Section& section);       // E7, Figure 5
void write_criticality(Results& results, Section& section);  // E8, Figure 6
void write_spectrum(Results& results, Section& section);     // E9
void write_checkpoints(Results& results, Section& section);  // E10, Figure 7

}  // namespace basin::report
