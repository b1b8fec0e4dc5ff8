#include "base/compress.h"

#include <zstd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

namespace flotilla {
namespace {

// Contexts are costly to make (hundreds of kilobytes) and are kept per thread.
ZSTD_CCtx* CompressContext() {
  thread_local const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(),
                                                                                ZSTD_freeCCtx);
  return context.get();
}

ZSTD_DCtx* DecompressContext() {
  thread_local const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                                ZSTD_freeDCtx);
  return context.get();
}

}  // namespace

std::string Compress(std::string_view bytes, int level) {
  ZSTD_CCtx* const context = CompressContext();
  ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  std::string frame;
  frame.resize(ZSTD_compressBound(bytes.size()));
  const size_t size =
      ZSTD_compress2(context, frame.data(), frame.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(size)) {
    // A buffer of that bound is always enough: only memory can be missing.
    std::fprintf(stderr, "flotilla: zstd: %s\n", ZSTD_getErrorName(size));
    std::abort();
  }
  frame.resize(size);
  frame.shrink_to_fit();
  return frame;
}

Result<std::string> Decompress(std::string_view frame, size_t limit) {
  const unsigned long long claimed = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (claimed == ZSTD_CONTENTSIZE_ERROR || claimed == ZSTD_CONTENTSIZE_UNKNOWN) {
    return Fail(ErrorClass::kInvalid, "not a zstd frame with a content size");
  }
  if (claimed > limit) {
    return Fail(ErrorClass::kInvalid, "zstd frame expands to {} bytes, more than the limit of {}",
                claimed, limit);
  }
  const size_t length = ZSTD_findFrameCompressedSize(frame.data(), frame.size());
  if (ZSTD_isError(length) || length != frame.size()) {
    return Fail(ErrorClass::kInvalid, "not exactly one whole zstd frame");
  }
  std::string bytes;
  bytes.resize(static_cast<size_t>(claimed));
  const size_t size = ZSTD_decompressDCtx(DecompressContext(), bytes.data(), bytes.size(),
                                          frame.data(), frame.size());
  if (ZSTD_isError(size)) {
    return Fail(ErrorClass::kInvalid, "damaged zstd frame: {}", ZSTD_getErrorName(size));
  }
  if (size != bytes.size()) {
    return Fail(ErrorClass::kInvalid, "damaged zstd frame: {} bytes instead of {}", size, claimed);
  }
  return bytes;
}

}  // namespace flotilla
