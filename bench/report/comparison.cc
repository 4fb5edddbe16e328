#include "bench/report/comparison.h"

#include <algorithm>
#include <cmath>

#include "bench/report/implementations.h"

namespace granary::bench {
namespace {

std::optional<Peer> AgainstPeer(const Result& peer, const Result& granary) {
  const auto ratio = PairedRatio(peer.samples, granary.samples);
  if (!ratio) {
    return std::nullopt;
  }
  return Peer{peer.name.implementation, Median(peer.values()), *ratio};
}

// `granary` itself first, if it is there.
std::vector<const Result*> Subjects(const CaseResults& results) {
  std::vector<const Result*> subjects;
  for (const Result* result : results.implementations) {
    if (RoleOf(result->name.implementation) == Role::kGranary) {
      subjects.push_back(result);
    }
  }
  std::stable_partition(subjects.begin(), subjects.end(), [](const Result* result) {
    return result->name.implementation == kGranary;
  });
  return subjects;
}

Comparison CompareSubject(const CaseResults& results, const Result& subject) {
  Comparison comparison{.suite = subject.name.suite,
                        .case_name = subject.name.case_name,
                        .family = subject.name.family(),
                        .timed = subject.timed,
                        .counter = subject.main_counter,
                        .subject = subject.name.implementation,
                        .is_variant = false,
                        .granary = Median(subject.values()),
                        .best_peer = std::nullopt,
                        .reference = std::nullopt,
                        .limit = std::nullopt};
  for (const Result* other : results.implementations) {
    const std::string& name = other->name.implementation;
    if (name == kLimit) {
      comparison.limit = Median(other->values());
    }
    // A count is comparable with the same count only.
    if (RoleOf(name) != Role::kPeer || other->main_counter != subject.main_counter) {
      continue;
    }
    const auto peer = AgainstPeer(*other, subject);
    if (!peer) {
      continue;
    }
    if (IsReference(name)) {
      comparison.reference = peer;
    }
    if (!comparison.best_peer || peer->ratio.median < comparison.best_peer->ratio.median) {
      comparison.best_peer = peer;
    }
  }
  return comparison;
}

std::optional<double> MeanOf(const std::vector<double>& ratios) {
  const double mean = GeometricMean(ratios);
  return std::isnan(mean) ? std::nullopt : std::optional(mean);
}

}  // namespace

std::vector<Comparison> Compare(const std::vector<Result>& results) {
  std::vector<Comparison> comparisons;
  for (const CaseResults& one_case : GroupByCase(results)) {
    bool is_variant = false;
    for (const Result* subject : Subjects(one_case)) {
      comparisons.push_back(CompareSubject(one_case, *subject));
      comparisons.back().is_variant = is_variant;
      is_variant = true;
    }
  }
  return comparisons;
}

std::vector<Family> Summarize(const std::vector<Comparison>& comparisons) {
  std::vector<Family> families;
  std::vector<double> reference;
  std::vector<double> best;
  for (size_t i = 0; i < comparisons.size(); ++i) {
    const Comparison& it = comparisons[i];
    if (!it.timed || it.is_variant) {
      continue;
    }
    if (families.empty() || families.back().suite != it.suite ||
        families.back().name != it.family) {
      families.push_back({it.suite, it.family, 0, std::nullopt, std::nullopt});
      reference.clear();
      best.clear();
    }
    Family& family = families.back();
    ++family.cases_count;
    if (it.reference) {
      reference.push_back(it.reference->ratio.median);
      family.versus_reference = MeanOf(reference);
    }
    if (it.best_peer) {
      best.push_back(it.best_peer->ratio.median);
      family.versus_best_peer = MeanOf(best);
    }
  }
  return families;
}

std::vector<Comparison> Losses(const std::vector<Comparison>& comparisons) {
  std::vector<Comparison> losses;
  std::ranges::copy_if(comparisons, std::back_inserter(losses), [](const Comparison& comparison) {
    return comparison.loses() && !comparison.is_variant;
  });
  return losses;
}

}  // namespace granary::bench
