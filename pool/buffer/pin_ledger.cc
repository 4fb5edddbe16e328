#include "pool/buffer/pin_ledger.h"

#include <unistd.h>

#include <algorithm>
#include <new>
#include <utility>

namespace granary::buffer {

uint64_t PinLedger::Add(PageId page, bool is_exclusive, CallSite site) noexcept {
  try {
    const std::scoped_lock lock(mutex_);
    pins_.emplace(last_ + 1, PinRecord{page, is_exclusive, site, ::gettid()});
    return ++last_;
  } catch (const std::bad_alloc&) {
    return 0;
  }
}

void PinLedger::Change(uint64_t pin, bool is_exclusive, CallSite site) noexcept {
  const std::scoped_lock lock(mutex_);
  const auto found = pins_.find(pin);
  if (found == pins_.end()) return;
  found->second.is_exclusive = is_exclusive;
  found->second.site = site;
}

void PinLedger::Remove(uint64_t pin) noexcept {
  const std::scoped_lock lock(mutex_);
  pins_.erase(pin);
}

std::vector<PinRecord> PinLedger::Pins() const {
  std::vector<std::pair<uint64_t, PinRecord>> numbered;
  {
    const std::scoped_lock lock(mutex_);
    numbered.assign(pins_.begin(), pins_.end());
  }
  std::sort(numbered.begin(), numbered.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<PinRecord> pins;
  pins.reserve(numbered.size());
  for (const auto& [number, pin] : numbered) pins.push_back(pin);
  return pins;
}

std::string Describe(const std::vector<PinRecord>& pins) {
  constexpr size_t kNamed = 8;
  std::string text;
  for (size_t i = 0; i < std::min(pins.size(), kNamed); ++i) {
    const PinRecord& pin = pins[i];
    if (i != 0) text += "; ";
    text += "page " + std::to_string(pin.page.page) + " of file " + std::to_string(pin.page.file);
    if (pin.is_exclusive) text += ", exclusively,";
    text += " by thread " + std::to_string(pin.thread);
    if (pin.site.file != nullptr) {
      text += " since " + std::string(pin.site.file) + ":" + std::to_string(pin.site.line);
    }
  }
  if (pins.size() > kNamed) text += "; and " + std::to_string(pins.size() - kNamed) + " more";
  return text;
}

}  // namespace granary::buffer
