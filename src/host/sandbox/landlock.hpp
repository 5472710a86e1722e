// Which files a VM may still reach once it runs (landlock(7)): below the places that were named
// before, and no TCP port, signal or abstract socket of others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/posix/unique_fd.hpp"
#include "support/result.hpp"

namespace banyan::landlock {

// What is allowed at a place and below.
enum class Access : uint8_t {
    read_file,   // the file itself is read
    device,      // read and written, as /dev/null
    read,        // files and directories are read
    write,       // the same, and they are made, changed and removed
    drop_files,  // files are made, written and removed, and none is read
};

struct Place {
    std::string path;
    Access access;
};

struct Rules {
    std::vector<Place> places;
    bool connect_tcp = false;
};

// Of the interface; 0: the kernel has none, or it is switched off.
int version();

// Fails when the kernel has it and does not take the rules. Places that are not there are left out.
Result<UniqueFd> make(const Rules& rules);

// The calling thread, for good; those that it starts will be the same. It has no_new_privs. From a
// signal handler, too. The error number, or 0.
int enter(int rules);

}  // namespace banyan::landlock
