#include "base/host.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace flotilla {
namespace {

class SystemHost final : public Host {
 public:
  explicit SystemHost(Runtime& runtime) {
    std::array<char, 256> name{};
    if (gethostname(name.data(), name.size() - 1) != 0) name = {"unknown"};
    // Kubernetes makes the pod's name its host name, unless the pod runs in the host's network.
    const std::optional<std::string> pod = Environment("POD_NAME");
    identity_ =
        fmt::format("{}_{}", pod && !pod->empty() ? pod->c_str() : name.data(), NewUuid(runtime));
  }

  const std::string& identity() const override { return identity_; }

  std::optional<std::string> Environment(const std::string& name) const override {
    // Nobody here sets variables, which is what would make this unsafe.
    const char* const value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe)
    if (!value) return std::nullopt;
    return value;
  }

  void Exit(int status) override { _exit(status); }

 private:
  std::string identity_;
};

}  // namespace

std::unique_ptr<Host> NewHost(Runtime& runtime) { return std::make_unique<SystemHost>(runtime); }

std::string NewUuid(Runtime& runtime) {
  const uint64_t high = (runtime.Random() & ~uint64_t{0xF000}) | 0x4000;  // version 4
  const uint64_t low = (runtime.Random() >> 2) | (uint64_t{1} << 63);     // variant 10
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, high >> 16 & 0xFFFF,
                     high & 0xFFFF, low >> 48, low & 0xFFFF'FFFF'FFFF);
}

}  // namespace flotilla
