#include "codec/npy.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "codec/bytes.hpp"
#include "codec/json_text.hpp"
#include "shumai/error.hpp"
#include "tensor/impl.hpp"

namespace sm::codec {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are written as they lie in memory");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kVersionEnd = 8;
constexpr size_t kDataAlignment = 64;
constexpr size_t kMaxHeader = 65'535;

// In the order of DType; empty: NumPy has none.
constexpr std::string_view kTypes[kDTypeCount] = {"b1", "u1", "i1", "i2", "u2", "i4", "u4",
                                                  "i8", "u8", "f2", "",   "f4", "f8"};

[[noreturn]] void fail(const std::string& what) { throw Error(ErrorCode::kProtocol, "npy: " + what); }

struct Header {
  DType dtype = DType::f32;
  bool swapped = false;  // big-endian
  bool by_columns = false;
  Shape shape;
};

void set_type(Header& header, std::string_view descr) {
  const auto found =
      descr.size() < 2 ? std::end(kTypes) : std::find(std::begin(kTypes), std::end(kTypes), descr.substr(1));
  if (found == std::end(kTypes) || std::string_view("<>=|").find(descr[0]) == std::string_view::npos)
    throw Error(ErrorCode::kDTypeMismatch, "npy: elements of the type " + quoted(descr) +
                                               ", expected booleans, integers or floats such as \"<f4\"");
  header.dtype = static_cast<DType>(found - std::begin(kTypes));
  const bool needs_order = size_of(header.dtype) > 1;
  if (needs_order && descr[0] == '|') fail("the type " + quoted(descr) + " needs a byte order");
  header.swapped = needs_order && descr[0] == '>';
}

// Reads the part of Python's literals that a header may be made of.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : text_(text) {}

  Header read() {
    expect('{');
    while (!accept('}')) {
      read_entry();
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_spaces();
    if (at_ != text_.size()) wrong("nothing after the dictionary");
    if (!descr_ || !order_ || !shape_) fail("the header needs 'descr', 'fortran_order' and 'shape'");
    return header_;
  }

 private:
  [[noreturn]] void wrong(const std::string& expected) const {
    const std::string got = at_ < text_.size() ? quoted(text_.substr(at_, 16)) : "the end";
    fail("in the header at byte " + std::to_string(at_) + ", expected " + expected + ", got " + got);
  }

  void skip_spaces() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  bool accept(char wanted) {
    skip_spaces();
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) wrong(std::string("'") + wanted + "'");
  }
  bool accept_word(std::string_view word) {
    skip_spaces();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  std::string_view read_string() {
    const char quote = accept('"') ? '"' : '\'';
    if (quote == '\'') expect('\'');
    const size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) wrong("a string that ends");
    const std::string_view out = text_.substr(at_, end - at_);
    if (out.find('\\') != std::string_view::npos) wrong("a string without escapes");
    at_ = end + 1;
    return out;
  }

  int64_t read_size() {
    skip_spaces();
    int64_t size = 0;
    const char* const from = text_.data() + at_;
    const auto [end, error] = std::from_chars(from, text_.data() + text_.size(), size);
    if (error != std::errc() || size < 0) wrong("a size");
    at_ += static_cast<size_t>(end - from);
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2 wrote its long integers so
    return size;
  }

  void read_shape() {
    expect('(');
    header_.shape = {};
    while (!accept(')')) {
      if (header_.shape.size() == Dims::kMaxRank)
        fail("more than " + std::to_string(Dims::kMaxRank) + " dimensions, which is the most that is supported");
      header_.shape.push_back(read_size());
      if (!accept(',')) {
        // (3) is a number in Python, (3,) is a tuple.
        if (header_.shape.size() == 1) wrong("','");
        expect(')');
        break;
      }
    }
  }

  void read_entry() {
    const std::string_view key = read_string();
    bool& seen = key == "descr" ? descr_ : key == "fortran_order" ? order_ : shape_;
    if (&seen == &shape_ && key != "shape") fail("the header has an unknown key " + quoted(key));
    if (std::exchange(seen, true)) fail("the header has " + quoted(key) + " twice");
    expect(':');
    if (key == "descr") {
      skip_spaces();
      if (at_ < text_.size() && text_[at_] == '[')
        throw Error(ErrorCode::kDTypeMismatch, "npy: elements are records, expected booleans, integers or floats");
      set_type(header_, read_string());
    } else if (key == "shape") {
      read_shape();
    } else if (accept_word("True")) {
      header_.by_columns = true;
    } else if (!accept_word("False")) {
      wrong("True or False");
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  Header header_;
  bool descr_ = false, order_ = false, shape_ = false;
};

// Where the header's text lies in the file.
std::pair<size_t, size_t> find_header(const std::byte* data, size_t size) {
  if (size < kVersionEnd || !is_npy(data, size)) fail("the file doesn't start with \\x93NUMPY and a version");
  const auto major = static_cast<unsigned>(data[6]), minor = static_cast<unsigned>(data[7]);
  if (major < 1 || major > 3 || minor != 0)
    fail("version " + std::to_string(major) + "." + std::to_string(minor) + ", expected 1.0, 2.0 or 3.0");
  const size_t width = major == 1 ? 2 : 4;
  const size_t begin = kVersionEnd + width;
  if (size < begin) fail("the length of the header needs " + std::to_string(width) + " bytes");
  uint32_t length = 0;
  std::memcpy(&length, data + kVersionEnd, width);
  if (length > kMaxHeader)
    throw Error(ErrorCode::kTooLarge, "npy: a header of " + std::to_string(length) + " bytes, at most " +
                                          std::to_string(kMaxHeader) + " are accepted");
  if (length > size - begin)
    fail("a header of " + std::to_string(length) + " bytes, but only " + std::to_string(size - begin) + " follow");
  return {begin, length};
}

template <class Word>
void swap_words(std::byte* data, size_t bytes) {
  for (size_t i = 0; i < bytes; i += sizeof(Word)) {
    Word word;
    std::memcpy(&word, data + i, sizeof(Word));
    if constexpr (sizeof(Word) == 2) word = __builtin_bswap16(word);
    if constexpr (sizeof(Word) == 4) word = __builtin_bswap32(word);
    if constexpr (sizeof(Word) == 8) word = __builtin_bswap64(word);
    std::memcpy(data + i, &word, sizeof(Word));
  }
}

void swap_bytes(const Tensor& tensor) {
  std::byte* data = tensor.impl()->bytes();
  switch (size_of(tensor.dtype())) {
    case 2:
      return swap_words<uint16_t>(data, tensor.nbytes());
    case 4:
      return swap_words<uint32_t>(data, tensor.nbytes());
    default:
      return swap_words<uint64_t>(data, tensor.nbytes());
  }
}

// The elements in the order of the file, as a tensor of `shape`.
Tensor elements_at(const util::BufferRef& body, size_t position, const Header& header, const Shape& shape) {
  const std::byte* data = body->data() + position;
  const size_t element = size_of(header.dtype);
  const bool aligned = position % element == 0 && reinterpret_cast<uintptr_t>(data) % element == 0;
  if (aligned && !header.swapped) return make_from_buffer(body, position, shape, header.dtype);
  Tensor copy = detail::from_bytes(data, shape, header.dtype, elements_of(shape));
  if (header.swapped) swap_bytes(copy);
  return copy;
}

// Columns first is the transposed array, rows first.
Tensor from_columns(const util::BufferRef& body, size_t position, const Header& header) {
  Shape reversed = header.shape;
  std::reverse(reversed.begin(), reversed.end());
  const Tensor transposed = elements_at(body, position, header, reversed);
  Dims strides = transposed.strides();
  std::reverse(strides.begin(), strides.end());
  const Tensor view = make_view(transposed, header.shape, strides, transposed.impl()->offset);
  if (view.is_contiguous())
    return make_view(transposed, header.shape, contiguous_strides(header.shape), transposed.impl()->offset);
  const util::Slice rows = elements_in_order(view);
  return make_from_buffer(rows.owner, 0, header.shape, header.dtype);
}

void check_booleans(const std::byte* data, size_t size) {
  uint8_t seen = 0;
  for (size_t i = 0; i < size; ++i) seen |= static_cast<uint8_t>(data[i]);
  if (seen > 1) fail("booleans other than 0 and 1");
}

std::string make_header(const Tensor& tensor) {
  const std::string_view type = kTypes[static_cast<size_t>(tensor.dtype())];
  if (type.empty())
    throw Error(ErrorCode::kDTypeMismatch, "npy: NumPy has no " + std::string(name_of(tensor.dtype())) +
                                               "; cast to another dtype, or write a .safetensors file");
  std::string text = "{'descr': '";
  text += size_of(tensor.dtype()) == 1 ? '|' : '<';
  text += type;
  text += "', 'fortran_order': False, 'shape': (";
  for (int64_t size : tensor.shape()) text += std::to_string(size) + (tensor.ndim() == 1 ? "," : ", ");
  if (tensor.ndim() > 1) text.resize(text.size() - 2);
  text += "), }";
  const size_t used = kVersionEnd + 2 + text.size() + 1;
  text.append((kDataAlignment - used % kDataAlignment) % kDataAlignment, ' ');
  text += '\n';
  return text;
}

}  // namespace

std::vector<util::Slice> encode_npy(const Tensor& tensor) {
  if (!tensor.defined()) throw Error(ErrorCode::kInvalidArgument, "npy: the tensor is undefined");
  const std::string text = make_header(tensor);
  std::string start(kMagic);
  start += '\x01';
  start += '\0';
  start += static_cast<char>(text.size() & 0xff);
  start += static_cast<char>(text.size() >> 8);
  return {to_slice(start + text), elements_in_order(tensor)};
}

bool is_npy(const std::byte* data, size_t size) {
  return size >= kMagic.size() && std::memcmp(data, kMagic.data(), kMagic.size()) == 0;
}

Tensor decode_npy(const util::BufferRef& body, size_t offset, size_t size) {
  const std::byte* data = body->data() + offset;
  const auto [begin, length] = find_header(data, size);
  const Header header = HeaderReader({reinterpret_cast<const char*>(data + begin), length}).read();
  const std::string what = "shape " + header.shape.to_string() + " of " + std::string(name_of(header.dtype));
  const std::optional<size_t> bytes = bytes_of(header.shape, header.dtype);
  if (!bytes) fail(what + " has more bytes than fit in memory");
  const size_t got = size - begin - length;
  if (*bytes != got) fail(what + " needs " + std::to_string(*bytes) + " bytes, got " + std::to_string(got));
  if (header.dtype == DType::boolean) check_booleans(data + begin + length, got);
  const size_t position = offset + begin + length;
  return header.by_columns ? from_columns(body, position, header) : elements_at(body, position, header, header.shape);
}

}  // namespace sm::codec
