#pragma once

#include "liveswap.hpp"
#include "master/app_listeners/app_listeners.hpp"
#include "master/control/open_requests.hpp"
#include "master/receipts/failures.hpp"
#include "master/receipts/open_receipts.hpp"
#include "master/releases/commit_record.hpp"
#include "master/releases/soundness.hpp"
#include "master/releases/store_tasks.hpp"
#include "master/uv/loop.hpp"
#include "master/workers/worker_pool.hpp"
#include "master/workers/worker_query.hpp"
#include "rollout/engine.hpp"

namespace liveswap::master {

// Makes the report of `liveswap status` (docs/reference/control-protocol.md).
class StatusReport {
 public:
  using Json = protocol::Json;
  // All references must outlive this object.
  struct Sources {
    const Options& options;
    const rollout::Engine& engine;
    WorkerPool& pool;
    const Listeners& listeners;
    const AppListeners& app_listeners;
    const OpenRequests& requests;
    const Failures& failures;
    const OpenReceipts& receipts;
    const Soundness& soundness;
    const CommitRecord& record;
    const StoreTasks& store_tasks;
    const KnownRuntimes& runtimes;
  };
  explicit StatusReport(const Sources& sources) : from_(sources) {}

  // How long this process has been a master, and since when it runs this image of the program.
  struct Life {
    rollout::Time started{0};
    rollout::Time executed{0};
    std::uint64_t executions = 0;  // re-executions
  };
  rollout::Time started() const { return life_.started; }
  std::uint64_t executions() const { return life_.executions; }
  void resume(const Life& life) { life_ = life; }

  // `connections`: the open connections of each worker that answered the query. The same answers have updated
  // the workers' request counts in the pool.
  Json json(const WorkerQuery::Answers& connections) const;

 private:
  Json of_worker(const rollout::Engine::Worker& worker, const WorkerQuery::Answers& connections) const;
  Json slots(const WorkerQuery::Answers& connections) const;
  Json listeners() const;
  Json left() const;
  Json last_failure_of(unsigned slot) const;
  Json upgrade(rollout::RequestId request) const;
  Json queued(rollout::RequestId request) const;
  std::string start_remark() const;

  Sources from_;
  Life life_{now(), now(), 0};
};

}  // namespace liveswap::master
