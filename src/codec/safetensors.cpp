#include "codec/safetensors.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <numeric>
#include <optional>
#include <span>

#include "codec/bytes.hpp"
#include "codec/json_text.hpp"
#include "codec/safetensors_scan.hpp"
#include "shumai/error.hpp"
#include "shumai/json.hpp"
#include "tensor/impl.hpp"

namespace sm::codec {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are written as they lie in memory");

constexpr size_t kLengthBytes = 8;
constexpr size_t kDataAlignment = 64;
constexpr size_t kUsualHeader = 96;  // bytes of a tensor
constexpr std::string_view kMetadataKey = "__metadata__";

[[noreturn]] void fail(const std::string& what) { throw Error(ErrorCode::kProtocol, "safetensors: " + what); }

// The largest power of two, up to kDataAlignment, that divides the tensor's
// size. Laid out in descending order, all tensors are aligned to theirs.
size_t natural_alignment(const Tensor& tensor) {
  const size_t bytes = tensor.nbytes();
  return bytes == 0 ? kDataAlignment : std::min(kDataAlignment, size_t{1} << std::countr_zero(bytes));
}

void check_names(const Tensors& tensors) {
  if (tensors.size() == 1 && tensors.at(0).second.defined() && tensors.at(0).first != kMetadataKey) return;
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined())
      throw Error(ErrorCode::kInvalidArgument, "safetensors: tensor " + quoted(name) + " is undefined");
    if (name == kMetadataKey)
      throw Error(ErrorCode::kInvalidArgument, "safetensors: a tensor can't be named \"__metadata__\"");
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end())
    throw Error(ErrorCode::kInvalidArgument, "safetensors: two tensors are named " + quoted(*twice));
}

// Positions in `tensors` in the order in which their data is laid out.
std::vector<size_t> data_order(const Tensors& tensors) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (order.size() == 1) return order;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return natural_alignment(tensors.at(a).second) > natural_alignment(tensors.at(b).second);
  });
  return order;
}

void append_metadata(std::string& header, const Metadata& metadata) {
  append_json_string(header, kMetadataKey);
  header += ":{";
  for (const auto& [key, text] : metadata) {
    append_json_string(header, key);
    header += ':';
    append_json_string(header, text);
    header += ',';
  }
  header.back() = '}';
  header += ',';
}

void append_number(std::string& out, size_t number) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

void append_info(std::string& header, const Tensors::Entry& entry, size_t begin) {
  const auto& [name, tensor] = entry;
  append_json_string(header, name);
  header += ":{\"dtype\":\"";
  header += kSafetensorsTypes[static_cast<size_t>(tensor.dtype())];
  header += "\",\"shape\":[";
  const Shape& shape = tensor.shape();
  for (int i = 0; i < shape.size(); ++i) {
    if (i) header += ',';
    append_number(header, static_cast<size_t>(shape[i]));
  }
  header += "],\"data_offsets\":[";
  append_number(header, begin);
  header += ',';
  append_number(header, begin + tensor.nbytes());
  header += "]},";
}

// The padded JSON, without the length before it.
std::string make_header(const Tensors& tensors, const Metadata& metadata, const std::vector<size_t>& order) {
  std::vector<size_t> begins(tensors.size());
  size_t next = 0;
  for (size_t position : order) {
    begins[position] = next;
    next += tensors.at(position).second.nbytes();
  }
  std::string header;
  header.reserve(kUsualHeader * (1 + tensors.size()));
  header = "{";
  if (!metadata.empty()) append_metadata(header, metadata);
  for (size_t i = 0; i < tensors.size(); ++i) append_info(header, tensors.at(i), begins[i]);
  if (header.size() > 1) header.pop_back();
  header += '}';
  const size_t used = kLengthBytes + header.size();
  header.append((kDataAlignment - used % kDataAlignment) % kDataAlignment, ' ');
  return header;
}

util::BufferRef with_length(std::string_view header) {
  util::BufferRef out = util::Buffer::allocate(kLengthBytes + header.size());
  const uint64_t length = header.size();
  std::memcpy(out->data(), &length, kLengthBytes);
  std::memcpy(out->data() + kLengthBytes, header.data(), header.size());
  return out;
}

using Info = SafetensorsInfo;

std::string describe(const Info& info) { return "tensor " + quoted(info.name); }

const Json& member(const std::string& name, const Json& info, std::string_view key, bool right_type(const Json&),
                   const char* expected) {
  const Json* found = info.find(key);
  if (found && right_type(*found)) return *found;
  const std::string got = !info.is_object() ? info.dump() : found ? found->dump() : "none";
  fail("tensor " + quoted(name) + " needs \"" + std::string(key) + "\" as " + expected + ", got " + got.substr(0, 80));
}

bool is_size(const Json& value) { return value.type() == Json::Type::integer && value.as_int64() >= 0; }
bool is_text(const Json& value) { return value.is_string(); }
bool is_size_list(const Json& value) {
  return value.is_array() && std::all_of(value.as_array().begin(), value.as_array().end(), is_size);
}
bool is_size_pair(const Json& value) { return is_size_list(value) && value.size() == 2; }

DType read_dtype(const std::string& name, const std::string& text) {
  const auto found = std::find(std::begin(kSafetensorsTypes), std::end(kSafetensorsTypes), text);
  if (found != std::end(kSafetensorsTypes)) return static_cast<DType>(found - std::begin(kSafetensorsTypes));
  std::string known;
  for (std::string_view each : kSafetensorsTypes) known += (known.empty() ? "" : ", ") + std::string(each);
  fail("tensor " + quoted(name) + " has the dtype " + quoted(text) + ", expected one of " + known);
}

Info read_info(const std::string& name, const Json& json, size_t data_size) {
  Info info{name, read_dtype(name, member(name, json, "dtype", is_text, "a string").as_string()), {}, 0, 0};
  const Json& shape = member(name, json, "shape", is_size_list, "a list of sizes");
  if (shape.size() > Dims::kMaxRank)
    fail(describe(info) + " has " + std::to_string(shape.size()) + " dimensions, at most " +
         std::to_string(Dims::kMaxRank) + " are supported");
  info.shape = Shape(static_cast<int>(shape.size()), 0);
  for (int i = 0; i < info.shape.size(); ++i) info.shape[i] = shape[i].as_int64();
  const Json& offsets = member(name, json, "data_offsets", is_size_pair, "two offsets");
  info.begin = static_cast<size_t>(offsets[0].as_int64());
  info.end = static_cast<size_t>(offsets[1].as_int64());
  const std::string range = "[" + std::to_string(info.begin) + ", " + std::to_string(info.end) + "]";
  if (info.begin > info.end || info.end > data_size)
    fail(describe(info) + " lies at " + range + ", outside the data of " + std::to_string(data_size) + " bytes");
  const std::optional<size_t> bytes = bytes_of(info.shape, info.dtype);
  if (!bytes) fail(describe(info) + " has the shape " + info.shape.to_string() + ", more bytes than fit in memory");
  if (info.end - info.begin != *bytes)
    fail(describe(info) + " of shape " + info.shape.to_string() + " and dtype " + std::string(name_of(info.dtype)) +
         " needs " + std::to_string(*bytes) + " bytes, got " + range);
  return info;
}

void check_coverage(const std::vector<Info>& infos, size_t data_size) {
  if (infos.size() == 1 && infos[0].begin == 0 && infos[0].end == data_size) return;
  std::vector<const Info*> sorted;
  sorted.reserve(infos.size());
  for (const Info& info : infos) sorted.push_back(&info);
  std::sort(sorted.begin(), sorted.end(),
            [](const Info* a, const Info* b) { return std::pair(a->begin, a->end) < std::pair(b->begin, b->end); });
  size_t next = 0;
  for (const Info* info : sorted) {
    if (info->begin != next)
      fail(describe(*info) + " starts at " + std::to_string(info->begin) + ", expected " + std::to_string(next) +
           (info->begin < next ? " (tensors overlap)" : " (there is a gap)"));
    next = info->end;
  }
  if (next != data_size)
    fail("tensors end at byte " + std::to_string(next) + " of the data, expected " + std::to_string(data_size));
}

Tensor make_tensor_at(const util::BufferRef& body, size_t position, const Info& info) {
  if (info.dtype == DType::boolean && !are_booleans(body->data() + position, info.end - info.begin))
    fail(describe(info) + " of dtype bool holds bytes other than 0 and 1");
  return tensor_at(body, position, info.shape, info.dtype);
}

void read_metadata(const Json& json, Metadata* metadata) {
  if (!json.is_object()) fail("\"__metadata__\" must be an object of strings");
  for (const auto& [key, text] : json.as_object()) {
    if (!text.is_string())
      fail("\"__metadata__\" must be an object of strings, got " + quoted(key) + " of another type");
    if (metadata) metadata->insert_or_assign(key, text.as_string());
  }
}

// The header's text; what follows it is the data.
std::string_view find_header(std::span<const std::byte> file, const SafetensorsLimits& limits) {
  if (file.size() < kLengthBytes) fail("the length of the header needs 8 bytes, got " + std::to_string(file.size()));
  uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  if (length > limits.max_header_bytes)
    throw Error(ErrorCode::kTooLarge, "safetensors: by its first 8 bytes the header has " + std::to_string(length) +
                                          " bytes, at most " + std::to_string(limits.max_header_bytes) +
                                          " are accepted; is this a safetensors file?");
  if (length > file.size() - kLengthBytes)
    fail("a header of " + std::to_string(length) + " bytes, but only " + std::to_string(file.size() - kLengthBytes) +
         " follow");
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  if (!text.starts_with('{')) fail("the header must start with {, got " + quoted(text.substr(0, 8)));
  return text;
}

Json parse_header(std::string_view text, const SafetensorsLimits& limits) {
  constexpr size_t kValuesPerTensor = 32;
  try {
    return Json::parse(
        text, {.max_bytes = text.size(), .max_depth = 4, .max_values = 1000 + kValuesPerTensor * limits.max_tensors});
  } catch (const Error& error) {
    throw Error(error.code(), std::string("safetensors: in the header, ") + error.what());
  }
}

// Names lie in `header`.
std::vector<Info> read_infos(const Json& header, size_t data_size, Metadata* metadata,
                             const SafetensorsLimits& limits) {
  std::vector<Info> infos;
  for (const auto& [name, json] : header.as_object()) {
    if (name == kMetadataKey)
      read_metadata(json, metadata);
    else if (infos.size() < limits.max_tensors)
      infos.push_back(read_info(name, json, data_size));
    else
      throw Error(ErrorCode::kTooLarge, "safetensors: more than " + std::to_string(limits.max_tensors) + " tensors");
  }
  return infos;
}

// The header of the last message of one tensor that a thread has read: clients mostly send the same again.
class LastHeader {
 public:
  const Info* find(std::string_view text, size_t data_size) const {
    return data_size == data_size_ && text == text_ ? &info_ : nullptr;
  }
  void keep(std::string_view text, size_t data_size, const Info& info) {
    constexpr size_t kLongest = 512;
    if (text.size() > kLongest) return;
    text_ = text;
    data_size_ = data_size;
    info_ = info;
    info_.name = std::string_view(text_).substr(static_cast<size_t>(info.name.data() - text.data()), info.name.size());
  }

 private:
  std::string text_;
  size_t data_size_ = 0;
  Info info_;  // whose name lies in text_
};

}  // namespace

std::vector<util::Slice> encode_safetensors(const Tensors& tensors, const Metadata& metadata) {
  check_names(tensors);
  const std::vector<size_t> order = data_order(tensors);
  const util::BufferRef header = with_length(make_header(tensors, metadata, order));
  std::vector<util::Slice> slices;
  slices.reserve(tensors.size() + 1);
  slices.push_back({header, header->data(), header->size()});
  for (size_t position : order)
    if (tensors.at(position).second.elements() > 0) slices.push_back(elements_in_order(tensors.at(position).second));
  return slices;
}

std::vector<util::Slice> encode_safetensors(const Tensor& tensor) {
  if (!tensor.defined()) return encode_safetensors(Tensors(tensor));
  // Answers mostly have the shape of the last.
  struct Last {
    DType dtype;
    Shape shape;
    std::string header;
  };
  thread_local Last last;
  if (last.header.empty() || last.dtype != tensor.dtype() || last.shape != tensor.shape())
    last = {tensor.dtype(), tensor.shape(), make_header(Tensors(tensor), {}, {0})};
  const util::BufferRef header = with_length(last.header);
  std::vector<util::Slice> slices;
  slices.reserve(2);
  slices.push_back({header, header->data(), header->size()});
  if (tensor.elements() > 0) slices.push_back(elements_in_order(tensor));
  return slices;
}

size_t safetensors_size(const Tensors& tensors, const Metadata& metadata) {
  check_names(tensors);
  size_t size = kLengthBytes + make_header(tensors, metadata, data_order(tensors)).size();
  for (const auto& [name, tensor] : tensors) size += tensor.nbytes();
  return size;
}

Tensors decode_safetensors(const util::BufferRef& body, size_t offset, size_t size, Metadata* metadata,
                           const SafetensorsLimits& limits) {
  if (offset > body->size() || size > body->size() - offset)
    fail(std::to_string(size) + " bytes from " + std::to_string(offset) + " lie outside a buffer of " +
         std::to_string(body->size()));
  const std::string_view text = find_header(body->bytes().subspan(offset, size), limits);
  const size_t data_start = kLengthBytes + text.size(), data_size = size - data_start;
  thread_local LastHeader last;
  Tensors out;
  if (const Info* info = last.find(text, data_size)) {
    out.set(info->name, make_tensor_at(body, offset + data_start, *info));
    return out;
  }
  std::vector<Info> infos;
  Json header;
  if (scan_safetensors_header(text, data_size, infos) && infos.size() <= limits.max_tensors) {
    check_coverage(infos, data_size);
    if (infos.size() == 1) last.keep(text, data_size, infos[0]);
  } else {
    header = parse_header(text, limits);
    infos = read_infos(header, data_size, metadata, limits);
    check_coverage(infos, data_size);
  }
  for (const Info& info : infos) out.set(info.name, make_tensor_at(body, offset + data_start + info.begin, info));
  return out;
}

}  // namespace sm::codec
