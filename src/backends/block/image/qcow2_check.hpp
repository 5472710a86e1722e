// Looks through a whole qcow2 image: what is in use, and whether its reference counts say so.
#pragma once

#include <string>
#include <vector>

#include "backends/block/image/cluster_counts.hpp"
#include "backends/block/image/qcow2_header.hpp"

namespace banyan {

struct Qcow2Report {
    static constexpr size_t kMostFindings = 20;

    uint64_t errors = 0;                // what could lose data
    uint64_t leaks = 0;                 // clusters that are counted and not used
    std::vector<std::string> findings;  // the first errors

    uint64_t clusters = 0;             // of the disk
    uint64_t allocated_clusters = 0;   // of those, in the image
    uint64_t compressed_clusters = 0;  // of those, compressed

    // What the counts ought to be, of clusters below `end`; enough to mend all errors if
    // `mendable`.
    ClusterCounts counts;
    uint64_t end = 0;
    bool mendable = true;
};

// Fails when the image cannot be looked through. Nobody writes to it meanwhile.
Result<Qcow2Report> check_qcow2(ImageFile& file, const Qcow2Header& header,
                                const Qcow2Snapshots& snapshots, const std::string& name);

}  // namespace banyan
