// Similarity of the features of two networks: centred kernel alignment (CKA), stage by stage.
// Paper, section 3.2, Table 1.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "engine/linear_algebra.h"
#include "experiments/program/options.h"
#include "experiments/program/session.h"
#include "models/network.h"

namespace basin {

// Gram matrices of the outputs of one stage for one batch.
struct FeatureGrams {
  int64_t images = 0, channels = 0;
  std::vector<double> image;    // [images, images]: inner products of whole feature maps
  std::vector<double> channel;  // [channels, channels]: of the channels' values at all places
};
// `features` [N, ..., C] f32, N >= 4.
FeatureGrams feature_grams(Tape& tape, const Tensor& features);

// Compares the outputs of a stage in two networks, batch by batch.
class FeatureSimilarity {
 public:
  // Of the same images in the same order; the channels may differ in number.
  void add(const FeatureGrams& a, const FeatureGrams& b);

  // Linear CKA of examples (Kornblith et al., ICML 2019) by the minibatch estimator of Nguyen et
  // al.: mean HSIC_1(K_a, K_b) / sqrt(mean HSIC_1(K_a, K_a) * mean HSIC_1(K_b, K_b)), means over
  // batches, which must be drawn at random. Invariant to orthogonal maps of the units, hence to
  // permutations, and to a factor. NaN where the features of a network do not vary.
  double cka() const;

  // The same formula with the roles of examples and units exchanged: the Gram matrices are those of
  // the channels, channel i of one network is compared with channel i of the other, and each place
  // of each image is one dimension of a channel. Unlike cka() it sees permutations. It is no
  // estimate over batches: the Gram matrices are sums over all images. NaN where the networks
  // differ in channels, have fewer than four, or where these do not vary.
  double aligned_cka() const;

 private:
  HsicValues hsic_{0, 0, 0};  // sums over batches
  int64_t channels_a_ = 0, channels_b_ = 0;
  std::vector<double> channel_a_, channel_b_;  // sums over batches
};

struct StageSimilarity {
  std::string module;  // "conv1", "layer1", ...
  double cka, aligned_cka;
};

struct CkaResult {
  std::vector<StageSimilarity> stages;
  int64_t images;   // that took part
  int64_t dropped;  // of a last batch of fewer than four
};

// Compares the stages' outputs on the images of `dataset`, in one fixed random order cut into
// batches; a last batch of fewer than four images, for which the estimator is not defined, is left
// out. "conv1" is the whole stem, with ReLU and pooling; "layerN" is the output of its last block.
// Throws Error where the networks' stages differ or batch_size is below four.
CkaResult cka(Network& a, Network& b, const std::shared_ptr<const data::Dataset>& dataset,
              int64_t batch_size, Session& session);

struct CkaOptions {
  std::filesystem::path a, b;  // checkpoints or run folders
  data::DataOptions data;
  std::string model;
  int64_t batch_size = 256;
  std::filesystem::path out;

  Options list();
};

// Writes cka.csv (module, cka, aligned_cka) and result.json. Progress advances by each network's
// images. A finished folder of the same settings is left unchanged.
void run_cka(const CkaOptions& options, Session& session);

}  // namespace basin
