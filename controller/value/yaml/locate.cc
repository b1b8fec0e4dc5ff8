// Document::Where: from a path back to its place in the text.
#include "value/yaml.h"
#include "value/yaml/events.h"

namespace flotilla::value {
namespace {

// Walks the events of one document along a path.
class Locator {
 public:
  Locator(std::string_view text, const Path& path) : reader_(text), path_(path) {}

  Position Find(size_t document, Position start) {
    found_ = start;
    for (size_t seen = 0; reader_.Next() && reader_.type() != YAML_STREAM_END_EVENT;) {
      if (reader_.type() != YAML_DOCUMENT_START_EVENT) continue;
      if (seen++ != document) continue;
      if (reader_.Next()) Descend(0);
      break;
    }
    return found_;
  }

 private:
  // At the event of the node that the first `depth` steps lead to. A member is found at its key,
  // where people look for it.
  void Descend(size_t depth) {
    if (depth == path_.size()) return;
    const Step& step = path_[depth];
    if (reader_.type() == YAML_SEQUENCE_START_EVENT && step.is_index) {
      for (size_t i = 0; reader_.Next() && reader_.type() != YAML_SEQUENCE_END_EVENT; ++i) {
        if (i == step.index) {
          found_ = reader_.position();
          return Descend(depth + 1);
        }
        Skip();
      }
    } else if (reader_.type() == YAML_MAPPING_START_EVENT && !step.is_index) {
      while (reader_.Next() && reader_.type() != YAML_MAPPING_END_EVENT) {
        bool here = reader_.type() == YAML_SCALAR_EVENT && reader_.ScalarText() == step.key;
        Position at = reader_.position();
        Skip();
        if (!reader_.Next()) return;
        if (here) {
          found_ = at;
          return Descend(depth + 1);
        }
        Skip();
      }
    }
  }

  // To the last event of the node that begins here.
  void Skip() {
    int open = 0;
    for (;;) {
      switch (reader_.type()) {
        case YAML_SEQUENCE_START_EVENT:
        case YAML_MAPPING_START_EVENT:
          ++open;
          break;
        case YAML_SEQUENCE_END_EVENT:
        case YAML_MAPPING_END_EVENT:
          --open;
          break;
        default:
          break;
      }
      if (open == 0 || !reader_.Next()) return;
    }
  }

  internal::EventReader reader_;
  const Path& path_;
  Position found_;
};

}  // namespace

Position Document::Where(const Path& path) const {
  return text ? Locator(*text, path).Find(index, start) : start;
}

}  // namespace flotilla::value
