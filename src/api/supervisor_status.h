#pragma once
// What a running supervisor says of itself: the intelligence in force, where it comes from and how
// old it is, and each VM that is guarded. Plain data; `fields` names each member as in JSON.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "facts/messages.h"

namespace outguard::api {

using Time = std::optional<WallTime>; ///< nullopt: never, or not known

/// A file, or a feed's copy, as it was compiled.
struct SourceStatus {
  std::string name;
  std::uint64_t entries = 0; ///< taken, those that others list too
  std::uint64_t rejected = 0;
  std::string problem; ///< not empty: nothing of it was taken
  Time changed;        ///< of a file: itself; of a feed: its server had nothing newer then

  template <class Self, class Io> static void fields(Self &self, Io &&io) {
    io("name", self.name);
    io("entries", self.entries);
    io("rejected", self.rejected);
    io("problem", self.problem);
    io("changed", self.changed);
  }
};

struct FeedStatus {
  std::string name, kind;
  std::string place;          ///< its URL up to `?`
  Time copy_of;               ///< when the copy in use came; nullopt: there is none
  Time confirmed;             ///< when its server last gave it, or said that it is the latest
  Time last_try, next_try;    ///< of this run
  std::uint32_t failures = 0; ///< in a row
  Time failing_since;
  std::string problem, remedy; ///< of the last try; empty: it worked

  template <class Self, class Io> static void fields(Self &self, Io &&io) {
    io("name", self.name);
    io("kind", self.kind);
    io("place", self.place);
    io("copy_of", self.copy_of);
    io("confirmed", self.confirmed);
    io("last_try", self.last_try);
    io("next_try", self.next_try);
    io("failures", self.failures);
    io("failing_since", self.failing_since);
    io("problem", self.problem);
    io("remedy", self.remedy);
  }
};

/// Single adds and removes.
struct ChangesStatus {
  std::string folder;
  std::uint64_t added = 0, removed = 0; ///< in force
  Time since;
  std::string problem; ///< why the files as they are now are not in force

  template <class Self, class Io> static void fields(Self &self, Io &&io) {
    io("folder", self.folder);
    io("added", self.added);
    io("removed", self.removed);
    io("since", self.since);
    io("problem", self.problem);
  }
};

struct IntelStatus {
  static constexpr std::size_t kMostSources = 256;

  std::uint64_t version = 0; ///< of image and single changes together; grows with each exchange
  std::uint64_t indicators = 0, image_bytes = 0; ///< of the image; 0: there is none
  Time since;
  std::vector<NamedCount> types;     ///< indicators by type; empty: being counted, or not known
  std::vector<SourceStatus> sources; ///< of the image, at most kMostSources
  std::uint64_t sources_left_out = 0;
  std::uint64_t warninglists = 0, warninglist_entries = 0, allowlist_entries = 0;
  ChangesStatus changes;
  bool compiling = false;
  Time compiled;               ///< the last attempt to compile lists and feeds
  std::string problem, remedy; ///< of that; not empty: what was in force stays
  std::vector<std::string>
      short_of; ///< what an earlier run had in force and is missing since start
  std::vector<FeedStatus> feeds;

  template <class Self, class Io> static void fields(Self &self, Io &&io) {
    io("version", self.version);
    io("indicators", self.indicators);
    io("image_bytes", self.image_bytes);
    io("since", self.since);
    io("types", self.types);
    io("sources", self.sources);
    io("sources_left_out", self.sources_left_out);
    io("warninglists", self.warninglists);
    io("warninglist_entries", self.warninglist_entries);
    io("allowlist_entries", self.allowlist_entries);
    io("changes", self.changes);
    io("compiling", self.compiling);
    io("compiled", self.compiled);
    io("problem", self.problem);
    io("remedy", self.remedy);
    io("short_of", self.short_of);
    io("feeds", self.feeds);
  }
};

struct TapRuleStatus {
  std::string rule; ///< as in `action show`
  std::uint64_t seconds_left = 0;

  template <class Self, class Io> static void fields(Self &self, Io &&io) {
    io("rule", self.rule);
    io("seconds_left", self.seconds_left);
  }
};

/// How a tap is filtered, as the kernel has it.
struct TapStatus {
  static constexpr std::size_t kMostRules = 32; ///< so that hundreds of VMs fit an answer

  std::string tap;
  std::string mechanism, hook; ///< at work, or what a rule would get; empty: nothing can be had
  bool at_work = false;
  std::string why_not_better; ///< empty: the best there is
  std::string problem;        ///< not empty: it could not be looked at
  std::vector<TapRuleStatus> rules;
  std::uint64_t rules_left_out = 0;
  std::vector<NamedCount> dropped; ///< packets, by the kind of the rule

  template <class Self, class Io> static void fields(Self &self, Io &&io) {
    io("tap", self.tap);
    io("mechanism", self.mechanism);
    io("hook", self.hook);
    io("at_work", self.at_work);
    io("why_not_better", self.why_not_better);
    io("problem", self.problem);
    io("rules", self.rules);
    io("rules_left_out", self.rules_left_out);
    io("dropped", self.dropped);
  }
};

/// The files of the VMs' own policies.
struct PolicyStatus {
  std::uint64_t files = 0; ///< in force
  Time since;              ///< what is in force
  Time read;               ///< the last attempt
  std::string problem;     ///< of that; not empty: what was in force stays

  template <class Self, class Io> static void fields(Self &self, Io &&io) {
    io("files", self.files);
    io("since", self.since);
    io("read", self.read);
    io("problem", self.problem);
  }
};

/// What is done to VMs, and its journal.
struct ActionsStatus {
  std::string folder;
  std::string problem; ///< not empty: nothing can be journaled, so nothing is done by hand

  template <class Self, class Io> static void fields(Self &self, Io &&io) {
    io("folder", self.folder);
    io("problem", self.problem);
  }
};

/// A VM that is guarded.
struct GuardStatus {
  std::string vm, uuid;
  std::int64_t pid = 0; ///< of QEMU
  std::string state, reason;
  Time since; ///< in this state
  std::string kernel;
  std::vector<std::string> taps;
  bool sensor = false;             ///< one runs
  std::uint64_t intel_version = 0; ///< what its sensor has; 0: nothing
  Time counted;                    ///< the numbers below; nullopt: not yet
  std::uint64_t packets_seen = 0, packets_processed = 0;
  std::vector<NamedCount> packets_dropped, counters;
  std::vector<TapStatus> enforcement; ///< of each tap
  std::string policy;     ///< its own, that its sensor judges by; empty: none
  std::string prevention; ///< mode prevent: what is held, or why nothing is; else empty

  template <class Self, class Io> static void fields(Self &self, Io &&io) {
    io("vm", self.vm);
    io("uuid", self.uuid);
    io("pid", self.pid);
    io("state", self.state);
    io("reason", self.reason);
    io("since", self.since);
    io("kernel", self.kernel);
    io("taps", self.taps);
    io("sensor", self.sensor);
    io("intel_version", self.intel_version);
    io("counted", self.counted);
    io("packets_seen", self.packets_seen);
    io("packets_processed", self.packets_processed);
    io("packets_dropped", self.packets_dropped);
    io("counters", self.counters);
    io("enforcement", self.enforcement);
    io("policy", self.policy);
    io("prevention", self.prevention);
  }
};

struct SupervisorStatus {
  std::int64_t pid = 0;
  std::string version, mode, config, eve_file, cache;
  Time started;
  IntelStatus intelligence;
  std::vector<GuardStatus> guards;
  ActionsStatus actions;
  PolicyStatus policies;

  template <class Self, class Io> static void fields(Self &self, Io &&io) {
    io("pid", self.pid);
    io("version", self.version);
    io("mode", self.mode);
    io("config", self.config);
    io("eve_file", self.eve_file);
    io("cache", self.cache);
    io("started", self.started);
    io("intelligence", self.intelligence);
    io("guards", self.guards);
    io("actions", self.actions);
    io("policies", self.policies);
  }
};

} // namespace outguard::api
