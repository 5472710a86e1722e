// The tables of a store, and how those of older versions become today's.
#pragma once

#include "manager/store/database.hpp"

namespace banyan {

// The tables as this version knows them. Fails with ErrorCode::unsupported when a newer one has
// made them, with ErrorCode::invalid_data when the file is another program's.
Result<void> bring_up_to_date(const Database& database);

}  // namespace banyan
