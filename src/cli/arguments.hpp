#pragma once

#include <cstdint>
#include <string>
#include <vector>

// What the commands of the program take, as definition.cpp fills it in.
namespace sm::cli {

// How to reach a server.
struct Access {
  std::string token_file;
  std::string ca, cert, key;  // for https; empty: the system's authorities, no certificate
  double timeout = 60;        // seconds
};

struct ServeArguments {
  std::string model;
  std::vector<std::string> rest;  // for a script
  int port = 3000;
  bool port_given = false;
  std::string host = "127.0.0.1";
  bool host_given = false;
  bool insecure = false;
  std::string token_file;
  std::string tls_cert, tls_key, tls_client_ca;
  std::vector<std::string> cors;
  std::vector<std::string> allowed_hosts;
  int threads = 2;
  std::string optimizer = "adam";
  double learning_rate = 1e-3;
  double momentum = 0;
  double weight_decay = 0;
  std::string checkpoint;
  std::string durability = "interval";
  double interval = 10;
  int keep = 3;
  std::string staleness = "accept";
  double max_norm = 0;   // 0: any
  std::string replicas;  // where they find each other; empty: none
  std::string replica_group = "model";
  std::string replica_id;
  std::string replica_address = "127.0.0.1";
  uint64_t replica_every = 50;
  bool replica_synchronous = false;
  std::vector<std::string> limits;
  int64_t seed = -1;  // -1: by chance
  bool frozen = false;
  std::string runtime;
};

struct TrainArguments {
  std::string model;
  std::vector<std::string> data = {"-"};
  std::string names = "x,y";
  std::string loss = "mse";
  int64_t batch = 32;
  int64_t epochs = 1;
  double held_out = 0;
  uint64_t seed = 0;
  std::string optimizer = "adam";
  double learning_rate = 1e-3;
  double momentum = 0;
  double weight_decay = 0;
  int in_flight = 1;
  std::string save;
  bool json = false;
  std::string runtime;
  Access access;
};

struct InferArguments {
  std::string model;
  bool json = false;
  bool npy = false;
  bool keep_going = false;
  std::string runtime;
  Access access;
};

struct BenchArguments {
  std::string url;
  std::string route = "forward";
  std::string shape = "1,1";
  std::string dtype = "float32";
  std::string format = "safetensors";
  int connections = 32;
  double seconds = 10;
  double warmup = 1;
  double rate = 0;  // requests a second in all; 0: as many as come back
  bool train = false;
  bool json = false;
  Access access;
};

struct TopArguments {
  std::string url;
  double interval = 1;
  bool once = false;
  Access access;
};

struct InspectArguments {
  std::string file;
  bool stats = false;
  bool all = false;
  bool json = false;
};

struct Arguments {
  ServeArguments serve;
  TrainArguments train;
  InferArguments infer;
  BenchArguments bench;
  TopArguments top;
  InspectArguments inspect;
  std::string shell;
};

}  // namespace sm::cli
