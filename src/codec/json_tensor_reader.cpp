#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "codec/bytes.hpp"
#include "codec/json_elements.hpp"
#include "codec/json_nesting.hpp"
#include "codec/json_reader.hpp"
#include "codec/json_tensor.hpp"
#include "shumai/error.hpp"

namespace sm::codec {
namespace {

// The arrays of a tensor, and two objects around them.
constexpr int kMaxDepth = Dims::kMaxRank + 2;

enum class Field { data, dtype, shape };

std::optional<Field> field_of(std::string_view key) {
  if (key == "data") return Field::data;
  if (key == "dtype") return Field::dtype;
  if (key == "shape") return Field::shape;
  return std::nullopt;
}

// One tensor while it is read.
struct Item {
  std::string name;
  std::optional<DType> dtype;  // as the text says
  std::optional<Shape> shape;  // as the text says
  Nesting nesting;
  std::optional<JsonElements> elements;
  bool has_data = false;
  bool counted_only = false;  // its data came before its dtype could be known
};

using DTypes = std::vector<std::optional<DType>>;

// Reads the events of a text that holds tensors. When the data of some tensor
// came before its dtype, complete() is false and take_dtypes() has what a second
// reader needs.
class TensorReader {
 public:
  TensorReader(size_t max_tensors, const DTypes* dtypes) : max_tensors_(max_tensors), known_(dtypes) {}

  bool complete() const noexcept { return complete_; }
  DTypes take_dtypes() { return std::move(dtypes_); }
  Tensors take();

  void open_object();
  void close_object();
  void open_array();
  void close_array();
  void key(std::string_view name) { key_ = name; }
  void string(std::string_view text);
  void integer(int64_t value, std::string_view token);
  void number(std::string_view token);
  void boolean(bool value);
  void null() { fail("null isn't a number; write \"NaN\" for one that is missing"); }

 private:
  enum class Object { none, undecided, named, single };

  [[noreturn]] void fail(const std::string& what) const;
  void begin_item(std::string_view name);
  void begin_value();
  void begin_field(Field field);
  void begin_data();
  void end_value();
  void end_item();
  void check_shape(int64_t count) const;
  void decide(Object object);
  JsonElements* next_element(DType otherwise);

  size_t max_tensors_;
  const DTypes* known_;
  std::vector<std::pair<std::string, Tensor>> tensors_;
  DTypes dtypes_;
  bool complete_ = true;

  Object outer_ = Object::none;  // the object around everything
  bool in_object_ = false;       // inside the object form of one tensor
  std::string key_;
  Item item_;
  Field field_ = Field::data;
  int arrays_ = 0;  // open now
};

void TensorReader::fail(const std::string& what) const {
  const bool named = outer_ == Object::named && !item_.name.empty();
  throw Error(ErrorCode::kProtocol, "json: " + (named ? "tensor " + quoted(item_.name) + ": " : "") + what);
}

void TensorReader::begin_item(std::string_view name) {
  if (dtypes_.size() == max_tensors_)
    throw Error(ErrorCode::kTooLarge, "json: more than " + std::to_string(max_tensors_) + " tensors");
  item_ = Item();
  item_.name = name;
  if (known_) item_.dtype = known_->at(dtypes_.size());
}

void TensorReader::decide(Object object) {
  if (outer_ == Object::undecided) outer_ = object;
  if (outer_ != object)
    throw Error(ErrorCode::kProtocol,
                "json: an object is either one tensor (\"data\", \"dtype\", \"shape\") or named tensors, got " +
                    quoted(key_) + " among others");
}

// A value other than an object starts, outside of all arrays.
void TensorReader::begin_value() {
  const std::optional<Field> field = outer_ == Object::none ? std::nullopt : field_of(key_);
  if (in_object_) {
    if (!field) fail("unknown member " + quoted(key_) + ", expected \"data\", \"dtype\" or \"shape\"");
    begin_field(*field);
  } else if (field) {
    decide(Object::single);
    begin_item("0");
    in_object_ = true;
    begin_field(*field);
  } else {
    if (outer_ != Object::none) decide(Object::named);
    begin_item(outer_ == Object::none ? "0" : key_);
    begin_field(Field::data);
  }
}

void TensorReader::begin_field(Field field) {
  field_ = field;
  const bool twice = field == Field::data ? item_.has_data : field == Field::shape ? item_.shape.has_value() : false;
  if (twice) fail(quoted(key_) + " comes twice");
  if (field == Field::shape) item_.shape.emplace();
  if (field == Field::data) begin_data();
}

void TensorReader::begin_data() {
  item_.has_data = true;
  item_.counted_only = in_object_ && !item_.dtype && !known_;
  if (item_.dtype) item_.elements.emplace(*item_.dtype);
}

void TensorReader::end_value() {
  if (!in_object_) end_item();
}

void TensorReader::check_shape(int64_t count) const {
  const Shape& shape = *item_.shape;
  const Shape found = item_.nesting.shape();
  if (found == shape) return;
  const bool flat = found.size() == 1 && bytes_of(shape, DType::u8) == static_cast<size_t>(count);
  if (!flat) fail("shape " + shape.to_string() + " and data of shape " + found.to_string() + " don't agree");
}

void TensorReader::end_item() {
  if (!item_.has_data) fail("a tensor without \"data\"");
  dtypes_.push_back(item_.dtype);
  if (item_.counted_only) {
    complete_ = false;
    return;
  }
  if (!item_.elements) item_.elements.emplace(DType::f32);
  if (item_.shape) check_shape(item_.elements->count());
  const Shape shape = item_.shape ? *item_.shape : item_.nesting.shape();
  if (!bytes_of(shape, item_.elements->dtype())) fail("shape " + shape.to_string() + " doesn't fit in memory");
  tensors_.emplace_back(std::move(item_.name), item_.elements->take(shape));
}

void TensorReader::open_object() {
  if (arrays_ > 0) fail("an object inside an array");
  if (in_object_) fail("an object as " + quoted(key_));
  if (outer_ == Object::none) {
    outer_ = Object::undecided;
    return;
  }
  decide(Object::named);
  begin_item(key_);
  in_object_ = true;
}

void TensorReader::close_object() {
  if (!in_object_) return;
  in_object_ = false;
  end_item();
}

void TensorReader::open_array() {
  if (arrays_ == 0) begin_value();
  ++arrays_;
  if (field_ == Field::dtype) fail("\"dtype\" must be a string, got an array");
  if (field_ == Field::data)
    item_.nesting.open();
  else if (arrays_ > 1)
    fail("\"shape\" must be a list of sizes, got nested arrays");
}

void TensorReader::close_array() {
  --arrays_;
  if (field_ == Field::data) item_.nesting.close();
  if (arrays_ == 0) end_value();
}

// Where the next scalar goes; null when it is only counted. The first one
// decides the dtype of a tensor that doesn't tell.
JsonElements* TensorReader::next_element(DType otherwise) {
  if (field_ != Field::data)
    fail(field_ == Field::dtype ? "\"dtype\" must be a string" : "\"shape\" must be a list of sizes");
  item_.nesting.scalar();
  if (item_.counted_only) return nullptr;
  if (!item_.elements) item_.elements.emplace(otherwise);
  if (!item_.dtype && item_.elements->dtype() != otherwise) fail("booleans and numbers in one tensor");
  return &*item_.elements;
}

void TensorReader::string(std::string_view text) {
  if (arrays_ == 0) begin_value();
  if (field_ == Field::dtype) {
    if (item_.dtype && !known_) fail("\"dtype\" comes twice");
    item_.dtype = dtype_from_name(text);
  } else if (JsonElements* elements = next_element(DType::f32)) {
    elements->add_text(text);
  }
  if (arrays_ == 0) end_value();
}

void TensorReader::integer(int64_t value, std::string_view token) {
  if (arrays_ == 0) begin_value();
  if (field_ == Field::shape && arrays_ == 1 && value >= 0) {
    if (item_.shape->size() == Dims::kMaxRank) fail("\"shape\" has more than 64 sizes");
    item_.shape->push_back(value);
  } else if (JsonElements* elements = next_element(DType::f32)) {
    elements->add_integer(value, token);
  }
  if (arrays_ == 0) end_value();
}

void TensorReader::number(std::string_view token) {
  if (arrays_ == 0) begin_value();
  if (JsonElements* elements = next_element(DType::f32)) elements->add_number(token);
  if (arrays_ == 0) end_value();
}

void TensorReader::boolean(bool value) {
  if (arrays_ == 0) begin_value();
  if (JsonElements* elements = next_element(DType::boolean)) elements->add_boolean(value);
  if (arrays_ == 0) end_value();
}

Tensors TensorReader::take() {
  std::vector<std::string_view> names;
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) throw Error(ErrorCode::kProtocol, "json: two tensors are named " + quoted(*twice));
  Tensors out;
  for (auto& [name, tensor] : tensors_) out.set(name, std::move(tensor));
  return out;
}

}  // namespace

Tensors decode_json(std::string_view text, const JsonTensorLimits& limits) {
  if (text.size() > limits.max_bytes)
    throw Error(ErrorCode::kTooLarge, "json: " + std::to_string(text.size()) + " bytes, at most " +
                                          std::to_string(limits.max_bytes) + " are accepted");
  DTypes dtypes;
  {
    TensorReader first(limits.max_tensors, nullptr);
    read_json(text, kMaxDepth, first);
    if (first.complete()) return first.take();
    dtypes = first.take_dtypes();
  }
  TensorReader second(limits.max_tensors, &dtypes);
  read_json(text, kMaxDepth, second);
  return second.take();
}

}  // namespace sm::codec
