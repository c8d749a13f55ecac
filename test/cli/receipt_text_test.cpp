#include "cli/receipt_text.hpp"

#include <doctest/doctest.h>

#include "sample_receipt.hpp"

using namespace liveswap::cli;
using Json = nlohmann::json;

TEST_CASE("a receipt for people") {
  const auto text = receipt_text(reverted_receipt(), {100, false});
  CHECK(text.substr(0, text.find("\n\n") + 1) ==
        "receipt 2     upgrade, reverted after 3.1 s: slot 1 crashed\n"
        "asked for     2026-11-22T23:17:58.042Z by uid 1000, pid 42: /srv/v2.so\n"
        "from          /srv/v1.so (release 3fa9c1d2e0b1, generation 1)\n"
        "to            /srv/v2.so (release ab12cd34ef56, generation 2)\n"
        "plan          forks 2, batch 1, surge 100%, canary 1 for 30.0 s, probation 10.0 s\n"
        "connections   10 drained, 2 killed, 4 lost\n"
        "requests      old code 120 served, 0 failed; new code 5 served, 1 failed\n"
        "probes        12 made, 1 failed\n"
        "waiting       http at most 2, admin not measured\n"
        "version skew  9 ms\n"
        "trouble       slot 0: worker 201 (new) was ended by force after 3.1 s, exit SIGKILL, 7 connections\n"
        "              drained, 2 connections killed\n"
        "              slot 1: worker 202 (new) failed after 22 ms, exit SIGSEGV, 4 connections lost\n");
  CHECK(text.find("slot 0  old  101") != std::string::npos);
}

TEST_CASE("what a failed worker wrote last stands below the reason, as it was written") {
  Json receipt = reverted_receipt();
  receipt["reason"] =
      "slot 1, stage run: killed by SIGSEGV\nit wrote last:\n    FATAL:  schema 7\n    \x1b[31mexpected";
  receipt["slots"][1]["workers"][1]["failure"] = receipt["reason"];
  receipt["slots"][0]["workers"][1]["failure"] = "slot 0, stage ready: late\nit wrote last:\n    waiting";
  const auto text = receipt_text(receipt, {100, false});
  CHECK(text.find("receipt 2     upgrade, reverted after 3.1 s: slot 1, stage run: killed by SIGSEGV\n"
                  "              it wrote last:\n"
                  "                  FATAL:  schema 7\n"
                  "                  \\x1b[31mexpected\n"
                  "asked for ") == 0);
  CHECK(text.find("killed: slot 0, stage ready: late\n"
                  "              it wrote last:\n"
                  "                  waiting\n") != std::string::npos);
  // The remark stands only once.
  CHECK(text.find("schema 7") == text.rfind("schema 7"));
}

TEST_CASE("what is not known is not claimed") {
  Json receipt = reverted_receipt();
  receipt["from"] = nullptr;
  receipt["requests"] = {{"old", nullptr}, {"new", nullptr}};
  receipt["probes"]["made"] = 0;
  receipt["plan"]["canary"] = "0";
  receipt["plan"]["probation_ms"] = 0;
  receipt["plan"]["flip"] = true;
  receipt["slots"][0]["workers"][0]["drained"] = nullptr;
  const auto text = receipt_text(receipt, {100, false});
  CHECK(text.find("from          nothing\n") != std::string::npos);
  CHECK(text.find("requests") == std::string::npos);
  CHECK(text.find("probes") == std::string::npos);
  CHECK(text.find("plan          forks 2, batch 1, surge 100%, flip\n") != std::string::npos);
  CHECK(text.find("connections   at least 7 drained, 2 killed, 4 lost\n") != std::string::npos);
}

TEST_CASE("what the new code leaves out is told") {
  Json receipt = reverted_receipt();
  CHECK(receipt_text(receipt, {100, false}).find("dropped ") == std::string::npos);
  receipt["dropped"] = {"127.0.0.1:80", "unix:/a"};
  CHECK(receipt_text(receipt, {100, false}).find("dropped       127.0.0.1:80, unix:/a\n") !=
        std::string::npos);
}

TEST_CASE("idle connections that were ended or handed off are told") {
  Json receipt = reverted_receipt();
  const auto with = [&](int ended, int handed_off) {
    receipt["slots"][0]["workers"][0]["ended"] = ended;
    receipt["slots"][0]["workers"][1]["handed_off"] = handed_off;
    const auto text = receipt_text(receipt, {100, false});
    const auto begin = text.find("lost");
    return text.substr(begin + 4, text.find('\n', begin) - begin - 4);
  };
  CHECK(with(0, 0).empty());
  CHECK(with(3, 0) == "; 3 idle ones ended");
  CHECK(with(0, 5) == "; 5 idle ones handed off");
  CHECK(with(3, 5) == "; 3 idle ones ended, 5 handed off");
}

TEST_CASE("a receipt from elsewhere neither drives the terminal nor fails") {
  Json receipt = reverted_receipt();
  receipt["reason"] = "\x1b[2J\n";
  CHECK(receipt_text(receipt, {100, false}).find('\x1b') == std::string::npos);
  const Json good = reverted_receipt();
  for (const auto& [name, value] : good.items()) {
    for (const Json& odd : {Json(), Json("x"), Json(-1), Json::array({7}), Json::object({{"a", 7}})}) {
      receipt = reverted_receipt();
      receipt[name] = odd;
      CHECK_FALSE(receipt_text(receipt, {60, true}).empty());
    }
  }
  CHECK_FALSE(receipt_text(Json(), {60, true}).empty());
}

TEST_CASE(
    "counts that no master has written are neither summed up beyond all bounds nor read with another sign") {
  Json receipt = reverted_receipt();
  auto& workers = receipt["slots"][0]["workers"];
  for (auto& worker : workers) worker["drained"] = INT64_MAX;
  workers[1]["killed"] = UINT64_MAX;
  CHECK(receipt_text(receipt, {100, false})
            .find("connections   at least 0 drained, at least 0 killed, 4 lost") != std::string::npos);
  for (auto& worker : workers) worker["drained"] = std::int64_t{1} << 53;
  for (int i = 0; i < 2000; ++i) workers.push_back(workers[0]);
  CHECK(receipt_text(receipt, {100, false}).find("9223372036854775807 drained") != std::string::npos);
}
