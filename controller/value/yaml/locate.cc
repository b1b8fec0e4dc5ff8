// Document::Where: from a path back to its place in the text.
#include "value/yaml.h"
#include "value/yaml/events.h"

namespace flotilla::value {

using internal::EventType;

namespace {

// Walks the events of one document along a path.
class Locator {
 public:
  Locator(std::string_view text, const Path& path) : reader_(text), path_(path) {}

  Position Find(size_t document, Position start) {
    found_ = start;
    for (size_t seen = 0; reader_.Next() && reader_.type() != EventType::kStreamEnd;) {
      if (reader_.type() != EventType::kDocumentStart) continue;
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
    if (reader_.type() == EventType::kListStart && step.is_index) {
      for (size_t i = 0; reader_.Next() && reader_.type() != EventType::kListEnd; ++i) {
        if (i == step.index) {
          found_ = reader_.position();
          return Descend(depth + 1);
        }
        Skip();
      }
    } else if (reader_.type() == EventType::kMapStart && !step.is_index) {
      while (reader_.Next() && reader_.type() != EventType::kMapEnd) {
        bool here = reader_.type() == EventType::kScalar && reader_.text() == step.key;
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
        case EventType::kListStart:
        case EventType::kMapStart:
          ++open;
          break;
        case EventType::kListEnd:
        case EventType::kMapEnd:
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
