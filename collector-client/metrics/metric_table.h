// SPDX-License-Identifier: Apache-2.0
// Every metric there is. docs/metrics.md says where each comes from; a test holds the two together.
#pragma once

#include <array>

#include "collector-client/metrics/metric.h"

namespace siprof::client {

// clang-format off
inline constexpr MetricInfo kCpuTime{"process.cpu.time", "s", MetricType::kIncrease, "cpu.mode"};
inline constexpr MetricInfo kCpuUtilization{"process.cpu.utilization", "1", MetricType::kLevel, "cpu.mode"};
inline constexpr MetricInfo kMemoryUsage{"process.memory.usage", "By", MetricType::kLevel, ""};
inline constexpr MetricInfo kMemoryVirtual{"process.memory.virtual", "By", MetricType::kLevel, ""};
inline constexpr MetricInfo kThreadCount{"process.thread.count", "{thread}", MetricType::kLevel, ""};
inline constexpr MetricInfo kDescriptorCount{"process.unix.file_descriptor.count", "{file_descriptor}", MetricType::kLevel, ""};
inline constexpr MetricInfo kPagingFaults{"process.paging.faults", "{fault}", MetricType::kIncrease, "system.paging.fault.type"};
inline constexpr MetricInfo kContextSwitches{"process.context_switches", "{context_switch}", MetricType::kIncrease, "process.context_switch.type"};
inline constexpr MetricInfo kDiskIo{"process.disk.io", "By", MetricType::kIncrease, "disk.io.direction"};

inline constexpr MetricInfo kContainerCpuLimit{"container.cpu.limit", "{cpu}", MetricType::kLevel, "process.linux.cgroup"};
inline constexpr MetricInfo kContainerCpuPeriods{"container.cpu.periods", "{period}", MetricType::kIncrease, "process.linux.cgroup"};
inline constexpr MetricInfo kContainerThrottledPeriods{"container.cpu.throttled.periods", "{period}", MetricType::kIncrease, "process.linux.cgroup"};
inline constexpr MetricInfo kContainerThrottledTime{"container.cpu.throttled.time", "s", MetricType::kIncrease, "process.linux.cgroup"};
inline constexpr MetricInfo kContainerMemoryLimit{"container.memory.limit", "By", MetricType::kLevel, "process.linux.cgroup"};
inline constexpr MetricInfo kContainerMemoryUsage{"container.memory.usage", "By", MetricType::kLevel, "process.linux.cgroup"};

inline constexpr MetricInfo kIoCalls{"siprof.io.calls", "{call}", MetricType::kIncrease, "call"};
inline constexpr MetricInfo kIoBytesMoved{"siprof.io.bytes", "By", MetricType::kIncrease, "call"};
inline constexpr MetricInfo kIoTime{"siprof.io.time", "s", MetricType::kIncrease, "call"};

inline constexpr MetricInfo kGcCollections{"cpython.gc.collections", "{collection}", MetricType::kIncrease, "cpython.gc.generation"};
inline constexpr MetricInfo kGcCollected{"cpython.gc.collected_objects", "{object}", MetricType::kIncrease, "cpython.gc.generation"};
inline constexpr MetricInfo kGcUncollectable{"cpython.gc.uncollectable_objects", "{object}", MetricType::kIncrease, "cpython.gc.generation"};
inline constexpr MetricInfo kGcPause{"cpython.gc.pause", "s", MetricType::kIncrease, "cpython.gc.generation"};
inline constexpr MetricInfo kAllocatedBlocks{"cpython.allocated_blocks", "{block}", MetricType::kLevel, ""};
inline constexpr MetricInfo kModules{"cpython.modules", "{module}", MetricType::kLevel, ""};
// clang-format on

inline constexpr std::array kAllMetrics = {
    &kCpuTime,
    &kCpuUtilization,
    &kMemoryUsage,
    &kMemoryVirtual,
    &kThreadCount,
    &kDescriptorCount,
    &kPagingFaults,
    &kContextSwitches,
    &kDiskIo,
    &kContainerCpuLimit,
    &kContainerCpuPeriods,
    &kContainerThrottledPeriods,
    &kContainerThrottledTime,
    &kContainerMemoryLimit,
    &kContainerMemoryUsage,
    &kIoCalls,
    &kIoBytesMoved,
    &kIoTime,
    &kGcCollections,
    &kGcCollected,
    &kGcUncollectable,
    &kGcPause,
    &kAllocatedBlocks,
    &kModules,
};

}  // namespace siprof::client
