#include "codec/safetensors_scan.hpp"

#include <algorithm>
#include <optional>

#include "codec/bytes.hpp"

namespace sm::codec {
namespace {

// Beyond it names would have to be compared by more than trying all.
constexpr size_t kMostTensors = 16;
constexpr int kMostDigits = 15;

class Scanner {
 public:
  explicit Scanner(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool take(char c) {
    skip_blanks();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  // Printable ASCII without escapes.
  bool string(std::string_view& out) {
    if (!take('"')) return false;
    const char* begin = at_;
    while (at_ != end_ && *at_ != '"') {
      if (*at_ < 0x20 || *at_ > 0x7e || *at_ == '\\') return false;
      ++at_;
    }
    out = {begin, static_cast<size_t>(at_ - begin)};
    return take('"');
  }

  bool number(int64_t& out) {
    skip_blanks();
    const char* begin = at_;
    out = 0;
    while (at_ != end_ && *at_ >= '0' && *at_ <= '9') {
      if (at_ - begin == kMostDigits) return false;
      out = out * 10 + (*at_++ - '0');
    }
    const auto digits = at_ - begin;
    return digits == 1 || (digits > 1 && *begin != '0');
  }

  bool at_end() {
    skip_blanks();
    return at_ == end_;
  }

 private:
  void skip_blanks() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
  }

  const char* at_;
  const char* end_;
};

bool scan_dtype(Scanner& scanner, DType& out) {
  std::string_view text;
  if (!scanner.string(text)) return false;
  const auto found = std::ranges::find(kSafetensorsTypes, text);
  if (found == std::end(kSafetensorsTypes)) return false;
  out = static_cast<DType>(found - std::begin(kSafetensorsTypes));
  return true;
}

bool scan_shape(Scanner& scanner, Shape& out) {
  if (!scanner.take('[')) return false;
  out = Shape();
  if (scanner.take(']')) return true;
  do {
    int64_t size = 0;
    if (out.size() == Dims::kMaxRank || !scanner.number(size)) return false;
    out.push_back(size);
  } while (scanner.take(','));
  return scanner.take(']');
}

bool scan_offsets(Scanner& scanner, SafetensorsInfo& info) {
  int64_t begin = 0, end = 0;
  if (!scanner.take('[') || !scanner.number(begin) || !scanner.take(',') || !scanner.number(end)) return false;
  info.begin = static_cast<size_t>(begin);
  info.end = static_cast<size_t>(end);
  return scanner.take(']');
}

bool scan_info(Scanner& scanner, SafetensorsInfo& info) {
  enum { kDType = 1, kShape = 2, kOffsets = 4, kAll = 7 };
  int seen = 0;
  if (!scanner.take('{')) return false;
  do {
    std::string_view key;
    if (!scanner.string(key) || !scanner.take(':')) return false;
    const int which = key == "dtype" ? kDType : key == "shape" ? kShape : key == "data_offsets" ? kOffsets : 0;
    if (which == 0 || (seen & which)) return false;
    seen |= which;
    const bool read = which == kDType   ? scan_dtype(scanner, info.dtype)
                      : which == kShape ? scan_shape(scanner, info.shape)
                                        : scan_offsets(scanner, info);
    if (!read) return false;
  } while (scanner.take(','));
  return seen == kAll && scanner.take('}');
}

bool is_sound(const SafetensorsInfo& info, size_t data_size) {
  if (info.begin > info.end || info.end > data_size) return false;
  return bytes_of(info.shape, info.dtype) == std::optional(info.end - info.begin);
}

}  // namespace

bool scan_safetensors_header(std::string_view text, size_t data_size, std::vector<SafetensorsInfo>& infos) {
  Scanner scanner(text);
  if (!scanner.take('{')) return false;
  do {
    SafetensorsInfo info{};
    if (infos.size() == kMostTensors || !scanner.string(info.name) || info.name == "__metadata__") return false;
    if (std::ranges::find(infos, info.name, &SafetensorsInfo::name) != infos.end()) return false;
    if (!scanner.take(':') || !scan_info(scanner, info) || !is_sound(info, data_size)) return false;
    infos.push_back(info);
  } while (scanner.take(','));
  return scanner.take('}') && scanner.at_end();
}

}  // namespace sm::codec
