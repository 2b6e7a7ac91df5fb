#include "serve/store.hpp"

#include <gtest/gtest.h>

#include "serve/testing.hpp"

namespace sm::io {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::error_of;

constexpr BodyDigest kBody = {1, 2};

// A store whose tickets end as a server ends them.
struct Ended {
  explicit Ended(ServeLimits limits = {}) : store(limits) {}

  // The id of a ticket of `owner` that is done.
  std::string ticket(const Content& answer = {}, const std::string& owner = "") {
    const std::shared_ptr<Ticket> mine = store.mint(store.session({}, owner), 1);
    mine->state = Ticket::State::kCaptured;
    auto call = std::make_shared<TicketCall>();
    call->body = kBody;
    call->sequence = 7;
    mine->calls.emplace("optimize", call);
    store.keep_answer(call, answer);
    store.finish(*mine);
    return mine->id.text();
  }
  // When all that is remembered is what is little.
  void sweep() { store.sweep(Clock::now()); }

  Store store;
};

TEST(Store, WhatIsDoneIsRememberedAsItWas) {
  Ended ended;
  const std::string id = ended.ticket();
  ended.sweep();
  EXPECT_EQ(ended.store.finished_tickets(), 1u);
  const std::shared_ptr<Ticket> found = ended.store.find(id, "", "");
  EXPECT_EQ(found->id.text(), id);
  EXPECT_EQ(found->state, Ticket::State::kDone);
  ASSERT_EQ(found->calls.size(), 1u);
  const auto& [route, call] = *found->calls.begin();
  EXPECT_EQ(route, "optimize");
  EXPECT_EQ(call->body, kBody);
  EXPECT_EQ(call->sequence, 7u);
  EXPECT_TRUE(call->done && call->kept && call->answer.empty());
}

TEST(Store, AnAnswerStaysAsLongAsItIsKept) {
  ServeLimits limits;
  limits.answer_lifetime = seconds(10);
  Ended ended(limits);
  const std::string id = ended.ticket(Tensor(scalar(3.f)));
  ended.sweep();
  EXPECT_EQ(ended.store.find(id, "", "")->calls.begin()->second->answer.tensor().item<float>(), 3);
  ended.store.sweep(Clock::now() + seconds(11));
  const std::shared_ptr<Ticket> later = ended.store.find(id, "", "");
  EXPECT_TRUE(later->calls.begin()->second->done);
  EXPECT_FALSE(later->calls.begin()->second->kept);
}

TEST(Store, OnlyItsOwnerHearsOfATicketThatIsDone) {
  Ended ended;
  const std::string id = ended.ticket({}, "alice");
  ended.sweep();
  EXPECT_EQ(ended.store.find(id, "", "alice")->id.text(), id);
  EXPECT_EQ(ended.store.find(id, "alice", "alice")->id.text(), id);
  error_of([&] { ended.store.find(id, "", "bob"); }, ErrorCode::kForbidden);
  error_of([&] { ended.store.find(id, "", ""); }, ErrorCode::kForbidden);
  error_of([&] { ended.store.find(id, "other", "alice"); }, ErrorCode::kForbidden);
}

TEST(Store, TheFirstThatWasDoneIsForgottenFirst) {
  ServeLimits limits;
  limits.max_finished_tickets = 3;
  Ended ended(limits);
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(ended.ticket());
    if (i % 2) ended.sweep();
  }
  EXPECT_EQ(ended.store.finished_tickets(), 3u);
  for (int i = 0; i < 2; ++i)
    error_of([&] { ended.store.find(ids[static_cast<size_t>(i)], "", ""); }, ErrorCode::kGone);
  for (size_t i = 2; i < 5; ++i) EXPECT_EQ(ended.store.find(ids[i], "", "")->id.text(), ids[i]);
  ended.store.sweep(Clock::now() + limits.finished_lifetime + seconds(1));
  EXPECT_EQ(ended.store.finished_tickets(), 0u);
  error_of([&] { ended.store.find(ids[4], "", ""); }, ErrorCode::kGone);
}

TEST(Store, ACheckpointHasTheLatestInTheirOrder) {
  Ended ended;
  std::vector<std::string> ids;
  for (int i = 0; i < 4; ++i) {
    ids.push_back(ended.ticket(i == 3 ? Content(scalar(1.f)) : Content()));
    if (i == 1) ended.sweep();
  }
  const FinishedTickets finished = ended.store.finished();
  ASSERT_EQ(finished.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(finished[i].id, ids[i]);
    EXPECT_EQ(finished[i].calls[0].route, "optimize");
    EXPECT_EQ(finished[i].calls[0].body, kBody);
    EXPECT_TRUE(finished[i].calls[0].kept);
  }
  // Whoever has the ticket hears of it after a restart.
  Store next{ServeLimits()};
  next.restore(finished);
  next.sweep(Clock::now());
  EXPECT_EQ(next.find(ids[0], "any", "bob")->id.text(), ids[0]);
  EXPECT_EQ(next.find(ids[3], "any", "bob")->calls.begin()->second->answer.tensor().item<float>(), 1);
}

TEST(Store, WhatARequestUsesStays) {
  Ended ended;
  const std::shared_ptr<Ticket> used = ended.store.find(ended.ticket(), "", "");
  ended.sweep();
  EXPECT_EQ(ended.store.find(used->id.text(), "", ""), used);
}

}  // namespace
}  // namespace sm::io
