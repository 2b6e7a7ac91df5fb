#include <algorithm>
#include <utility>

#include "codec/bytes.hpp"
#include "codec/inference.hpp"
#include "codec/json_builder.hpp"
#include "codec/json_elements.hpp"
#include "codec/json_nesting.hpp"
#include "codec/json_reader.hpp"
#include "shumai/error.hpp"
#include "shumai/json.hpp"

namespace sm::codec {
namespace {

// The arrays of a tensor, and what is around them.
constexpr int kMaxDepth = Dims::kMaxRank + 4;
// Other than elements.
constexpr size_t kMaxValues = 100'000;
// Of an array "inputs" and of an input in it, counted in open arrays and objects.
constexpr int kInputsDepth = 2;
constexpr int kInputDepth = 3;

[[noreturn]] void fail(const std::string& what) { throw Error(ErrorCode::kProtocol, "infer: " + what); }

bool is_half(DType dtype) { return dtype == DType::f16 || dtype == DType::bf16; }

// The "data" of one input.
struct Data {
  std::optional<DType> dtype;
  Nesting nesting;
  std::optional<JsonElements> elements;
  bool given = false;
  bool counted_only = false;  // it came before its datatype
};

// Reads the events of the JSON: "data" of the inputs goes straight into memory,
// everything else becomes a Json, where null stands for the data. When the data
// of some input came before its datatype, complete() is false, and a second
// reader that knows the datatypes is needed.
class RequestReader {
 public:
  RequestReader(size_t max_tensors, const std::vector<DType>* known) : max_tensors_(max_tensors), known_(known) {}

  bool complete() const noexcept { return complete_; }
  Json take_json() { return builder_.take(); }
  std::vector<Data> take_data() { return std::move(data_); }

  void open_object();
  void close_object();
  void open_array();
  void close_array();
  void key(std::string_view name) {
    key_ = name;
    builder_.key(name);
  }
  void string(std::string_view text);
  void integer(int64_t value, std::string_view token);
  void number(std::string_view token);
  void boolean(bool value);
  void null();

 private:
  bool at_input() const { return in_inputs_ && depth_ == kInputDepth; }
  // True for a value that is, or belongs to, an input's data.
  bool in_data() const { return arrays_ > 0 || (at_input() && key_ == "data"); }
  void begin_data();
  JsonElements* next_element();
  void begin_container();
  void end_container();

  size_t max_tensors_;
  const std::vector<DType>* known_;
  JsonBuilder builder_{kMaxValues};
  std::vector<Data> data_;  // by input
  bool complete_ = true;
  int depth_ = 0;  // of what the builder gets
  bool in_inputs_ = false;
  std::string key_;  // empty for entries of an array
  int arrays_ = 0;   // of data, open now
};

void RequestReader::begin_container() {
  ++depth_;
  key_.clear();
}

void RequestReader::end_container() {
  --depth_;
  key_.clear();
  if (depth_ < kInputsDepth) in_inputs_ = false;
}

void RequestReader::open_object() {
  if (in_data()) fail("an object among the data of an input");
  builder_.open_object();
  begin_container();
  if (!at_input()) return;
  if (data_.size() == max_tensors_)
    throw Error(ErrorCode::kTooLarge, "infer: more than " + std::to_string(max_tensors_) + " inputs");
  data_.emplace_back();
  if (known_) data_.back().dtype = known_->at(data_.size() - 1);
}

void RequestReader::close_object() {
  builder_.close_object();
  end_container();
}

void RequestReader::open_array() {
  if (in_data()) {
    if (arrays_ == 0) begin_data();
    ++arrays_;
    data_.back().nesting.open();
    return;
  }
  in_inputs_ = in_inputs_ || (depth_ == kInputsDepth - 1 && key_ == "inputs");
  builder_.open_array();
  begin_container();
}

void RequestReader::close_array() {
  if (arrays_ > 0) {
    --arrays_;
    data_.back().nesting.close();
    return;
  }
  builder_.close_array();
  end_container();
}

void RequestReader::begin_data() {
  builder_.null();  // and with it, a second "data" is seen
  Data& data = data_.back();
  data.given = true;
  data.counted_only = !data.dtype;
  complete_ = complete_ && data.dtype;
  if (!data.dtype) return;
  if (is_half(*data.dtype))
    fail("the datatype " + std::string(datatype_of(*data.dtype)) + " can't be sent as JSON; send it as binary data");
  data.elements.emplace(*data.dtype);
}

// Null when it is only counted.
JsonElements* RequestReader::next_element() {
  if (arrays_ == 0) begin_data();
  Data& data = data_.back();
  data.nesting.scalar();
  return data.counted_only ? nullptr : &*data.elements;
}

void RequestReader::string(std::string_view text) {
  if (in_data()) {
    if (JsonElements* elements = next_element()) elements->add_text(text);
    return;
  }
  if (at_input() && key_ == "datatype" && !known_) data_.back().dtype = dtype_from_datatype(text);
  builder_.string(text);
}

void RequestReader::integer(int64_t value, std::string_view token) {
  if (!in_data()) return builder_.integer(value, token);
  if (JsonElements* elements = next_element()) elements->add_integer(value, token);
}

void RequestReader::number(std::string_view token) {
  if (!in_data()) return builder_.number(token);
  if (JsonElements* elements = next_element()) elements->add_number(token);
}

void RequestReader::boolean(bool value) {
  if (!in_data()) return builder_.boolean(value);
  if (JsonElements* elements = next_element()) elements->add_boolean(value);
}

void RequestReader::null() {
  if (in_data()) fail("null among the data of an input");
  builder_.null();
}

// --- What the JSON says ---

const Json* member(const Json& object, std::string_view key, Json::Type type, const char* expected) {
  const Json* found = object.find(key);
  if (!found || found->type() == type) return found;
  fail("\"" + std::string(key) + "\" must be " + expected + ", got " + found->dump().substr(0, 80));
}

const Json& needed(const Json* found, std::string_view key, const std::string& where) {
  if (found) return *found;
  fail(where + " needs \"" + std::string(key) + "\"");
}

std::optional<bool> flag(const Json* parameters, std::string_view key) {
  if (!parameters) return std::nullopt;
  const Json* found = member(*parameters, key, Json::Type::boolean, "true or false");
  return found ? std::optional(found->as_bool()) : std::nullopt;
}

// Ignoring what changes where the data is, or what is answered, would give a wrong answer.
const Json* parameters_of(const Json& object) {
  const Json* parameters = member(object, "parameters", Json::Type::object, "an object");
  if (parameters)
    for (const char* other : {"shared_memory_region", "classification"})
      if (parameters->contains(other)) fail("the parameter \"" + std::string(other) + "\" isn't supported");
  return parameters;
}

Shape read_shape(const Json& sizes, const std::string& where) {
  if (sizes.size() > Dims::kMaxRank) fail(where + " has more than 64 dimensions");
  Shape shape(static_cast<int>(sizes.size()), 0);
  for (int i = 0; i < shape.size(); ++i) {
    if (sizes[i].type() != Json::Type::integer || sizes[i].as_int64() < 0)
      fail(where + ": \"shape\" must be a list of sizes, got " + sizes.dump().substr(0, 80));
    shape[i] = sizes[i].as_int64();
  }
  return shape;
}

// Turns what was read into tensors; the binary ones follow one another.
class InputMaker {
 public:
  InputMaker(const util::BufferRef& body, size_t begin, size_t end) : body_(body), next_(begin), end_(end) {}

  void add(Tensors& inputs, const Json& json, Data& data) {
    const std::string& name =
        needed(member(json, "name", Json::Type::string, "a string"), "name", "an input").as_string();
    const std::string where = "input " + quoted(name);
    const Json* sizes = member(json, "shape", Json::Type::array, "a list of sizes");
    const Shape shape = read_shape(needed(sizes, "shape", where), where);
    const Json* datatype = member(json, "datatype", Json::Type::string, "a string");
    const DType dtype = dtype_from_datatype(needed(datatype, "datatype", where).as_string());
    const std::optional<size_t> bytes = bytes_of(shape, dtype);
    if (!bytes) fail(where + " has the shape " + shape.to_string() + ", more bytes than fit in memory");
    if (inputs.contains(name)) fail("two inputs are named " + quoted(name));
    const Json* parameters = parameters_of(json);
    const Json* size = parameters ? parameters->find("binary_data_size") : nullptr;
    inputs.set(name, size ? binary(where, *size, shape, dtype, *bytes, data) : from_json(where, shape, dtype, data));
  }

  void finish() const {
    if (next_ != end_)
      fail(std::to_string(end_ - next_) + " bytes follow the last input's binary data; \"binary_data_size\" tells " +
           "which input they belong to");
  }

 private:
  Tensor binary(const std::string& where, const Json& size, const Shape& shape, DType dtype, size_t bytes,
                const Data& data) {
    if (data.given) fail(where + " has both \"data\" and \"binary_data_size\"");
    if (size.type() != Json::Type::integer || size.as_int64() < 0 || static_cast<size_t>(size.as_int64()) != bytes)
      fail(where + " of shape " + shape.to_string() + " and datatype " + std::string(datatype_of(dtype)) + " needs " +
           std::to_string(bytes) + " bytes, \"binary_data_size\" is " + size.dump().substr(0, 80));
    if (bytes > end_ - next_)
      fail(where + " needs " + std::to_string(bytes) + " bytes after the JSON, " + std::to_string(end_ - next_) +
           " are left; Inference-Header-Content-Length tells where they begin");
    const size_t position = std::exchange(next_, next_ + bytes);
    if (dtype == DType::boolean && !are_booleans(body_->data() + position, bytes))
      fail(where + " of datatype BOOL holds bytes other than 0 and 1");
    return tensor_at(body_, position, shape, dtype);
  }

  static Tensor from_json(const std::string& where, const Shape& shape, DType dtype, Data& data) {
    if (!data.given) fail(where + " needs \"data\", or the parameter \"binary_data_size\"");
    const Shape found = data.nesting.shape();
    const int64_t count = data.elements->count();
    if (found != shape && !(found.size() == 1 && bytes_of(shape, DType::u8) == static_cast<size_t>(count)))
      fail(where + ": shape " + shape.to_string() + " and data of shape " + found.to_string() + " don't agree");
    if (data.elements->dtype() != dtype) fail(where + " has two datatypes");
    return data.elements->take(shape);
  }

  const util::BufferRef& body_;
  size_t next_, end_;
};

std::vector<InferenceRequest::Output> read_outputs(const Json* outputs, size_t max_tensors) {
  std::vector<InferenceRequest::Output> out;
  if (!outputs) return out;
  if (outputs->size() > max_tensors)
    throw Error(ErrorCode::kTooLarge, "infer: more than " + std::to_string(max_tensors) + " outputs");
  for (const Json& json : outputs->as_array()) {
    if (!json.is_object()) fail("an entry of \"outputs\" must be an object");
    const Json* name = member(json, "name", Json::Type::string, "a string");
    out.push_back({needed(name, "name", "an output").as_string(), flag(parameters_of(json), "binary_data")});
  }
  return out;
}

// The datatypes of all inputs, which a first reader has found.
std::vector<DType> datatypes_of(const std::vector<Data>& inputs) {
  std::vector<DType> out;
  for (const Data& data : inputs) {
    if (!data.dtype) fail("an input needs \"datatype\"");
    out.push_back(*data.dtype);
  }
  return out;
}

InferenceRequest make_request(const Json& json, std::vector<Data> data, InputMaker maker,
                              const InferenceLimits& limits) {
  if (!json.is_object()) fail("the request must be an object");
  InferenceRequest request;
  if (const Json* id = member(json, "id", Json::Type::string, "a string")) request.id = id->as_string();
  const Json* inputs = member(json, "inputs", Json::Type::array, "a list of tensors");
  const Json::Array& entries = needed(inputs, "inputs", "the request").as_array();
  if (data.size() != entries.size()) fail("an entry of \"inputs\" must be an object");
  for (size_t i = 0; i < entries.size(); ++i) maker.add(request.inputs, entries[i], data[i]);
  maker.finish();
  request.outputs = read_outputs(member(json, "outputs", Json::Type::array, "a list of outputs"), limits.max_tensors);
  request.binary_output = flag(parameters_of(json), "binary_data_output").value_or(false);
  return request;
}

}  // namespace

InferenceRequest decode_inference_request(const util::BufferRef& body, size_t offset, size_t size,
                                          std::optional<size_t> json_size, const InferenceLimits& limits) {
  const size_t json_bytes = json_size.value_or(size);
  if (json_bytes > size)
    fail("Inference-Header-Content-Length is " + std::to_string(json_bytes) + ", the body has " + std::to_string(size) +
         " bytes");
  if (json_bytes > limits.max_json_bytes)
    throw Error(ErrorCode::kTooLarge, "infer: " + std::to_string(json_bytes) + " bytes of JSON, at most " +
                                          std::to_string(limits.max_json_bytes) +
                                          " are accepted; send large tensors as binary data");
  const std::string_view text(reinterpret_cast<const char*>(body->data()) + offset, json_bytes);
  const InputMaker maker(body, offset + json_bytes, offset + size);
  std::vector<DType> datatypes;
  {
    RequestReader first(limits.max_tensors, nullptr);
    read_json(text, kMaxDepth, first);
    if (first.complete()) return make_request(first.take_json(), first.take_data(), maker, limits);
    datatypes = datatypes_of(first.take_data());
  }
  RequestReader second(limits.max_tensors, &datatypes);
  read_json(text, kMaxDepth, second);
  return make_request(second.take_json(), second.take_data(), maker, limits);
}

}  // namespace sm::codec
