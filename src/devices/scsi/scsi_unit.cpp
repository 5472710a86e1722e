#include "devices/scsi/scsi_unit.hpp"

#include <algorithm>

#include "support/bits.hpp"

namespace banyan {

using namespace scsi;

namespace {

constexpr std::string_view kVendor = "BANYAN  ";  // 8 characters
constexpr std::string_view kRevision = "1.0 ";    // 4 characters
constexpr uint8_t kPageSupported = 0x00;          // SPC-4, 7.8
constexpr uint8_t kPageSerial = 0x80;
constexpr uint8_t kPageIdentification = 0x83;

void put_text(std::span<uint8_t> to, std::string_view text) {
    std::fill(to.begin(), to.end(), uint8_t{' '});
    std::copy_n(text.begin(), std::min(text.size(), to.size()), to.begin());
}

}  // namespace

ScsiUnit::ScsiUnit(uint8_t type, const ScsiUnitConfig& config, BlockBackend& backend)
    : type_(type), backend_(backend) {
    put_text(serial_, config.serial);
    for (uint8_t& c : serial_) {  // SPC-4, 4.3.1: graphic codes and blanks
        if (c < 0x20 || c > 0x7e) c = '_';
    }
    reset();
}

void ScsiUnit::reset() {
    state_ = {};
    set_attention(kPowerOnOrReset);
}

bool ScsiUnit::restore(const ScsiUnitStateV1& state) {
    if (state.sense_key > 0xf || (state.tray_open && !removable())) return false;
    state_ = state;
    return true;
}

Sense ScsiUnit::sense() const {
    return {static_cast<SenseKey>(state_.sense_key), state_.sense_asc, state_.sense_ascq};
}

Sense ScsiUnit::take_sense() {
    const Sense taken = sense();
    state_.sense_key = state_.sense_asc = state_.sense_ascq = 0;
    return taken;
}

DataPlan ScsiUnit::fail(const Sense& sense) {
    state_.sense_key = static_cast<uint8_t>(sense.key);
    state_.sense_asc = sense.asc;
    state_.sense_ascq = sense.ascq;
    return {.kind = DataPlan::Kind::failed};
}

void ScsiUnit::fail_plan(PlanRunner::Result result, bool write) {
    const bool medium = result == PlanRunner::Result::media_error;
    (void)fail(!medium ? kInternalFailure : write ? kWriteError : kReadError);
}

void ScsiUnit::set_attention(const Sense& sense) {
    state_.attention_asc = sense.asc;
    state_.attention_ascq = sense.ascq;
}

std::span<uint8_t> ScsiUnit::buffer() {
    buffer_.fill(0);
    return buffer_;
}

DataPlan ScsiUnit::respond(size_t length, uint64_t allocation_length) {
    const size_t count = std::min<uint64_t>(length, allocation_length);
    if (count == 0) return {};
    return {.kind = DataPlan::Kind::data_in,
            .length = count,
            .response = std::as_bytes(std::span(buffer_).first(count))};
}

// SAM-5, 5.14: which commands a pending unit attention does not stop.
bool ScsiUnit::attention_stops(Op op) const {
    if (state_.attention_asc == 0) return false;
    if (op == Op::inquiry || op == Op::report_luns || op == Op::request_sense) return false;
    return !ignores_attention(op);
}

DataPlan ScsiUnit::start(const Cdb& cdb, BlockWork& work) {
    const Op op{cdb[0]};
    if (op == Op::request_sense) return request_sense(cdb);
    if (attention_stops(op)) {
        const Sense attention{SenseKey::unit_attention, state_.attention_asc,
                              state_.attention_ascq};
        set_attention(kNoSense);
        return fail(attention);
    }
    (void)take_sense();  // SPC-4, 4.5.1: kept until the next command
    if (op == Op::inquiry) return inquiry(cdb);
    return execute(cdb, work);
}

DataPlan ScsiUnit::take_parameters(const Cdb& cdb, std::span<const std::byte> bytes,
                                   BlockWork& work) {
    return execute_with(cdb, bytes, work);
}

// SPC-4, 6.39.
DataPlan ScsiUnit::request_sense(const Cdb& cdb) {
    if ((cdb[1] & 1) != 0) return fail(kInvalidFieldInCdb);  // descriptor format
    Sense told = take_sense();
    if (told == kNoSense && state_.attention_asc != 0) {
        told = {SenseKey::unit_attention, state_.attention_asc, state_.attention_ascq};
        set_attention(kNoSense);
    }
    const auto bytes = fixed_format(told);
    std::copy(bytes.begin(), bytes.end(), buffer().begin());
    return respond(bytes.size(), cdb[4]);
}

// SPC-4, 6.6.
DataPlan ScsiUnit::inquiry(const Cdb& cdb) {
    const uint64_t allocation_length = big_endian(cdb, 3, 2);
    const bool vital = (cdb[1] & 1) != 0;
    if (vital) return vital_product_data(cdb[2], allocation_length);
    if (cdb[2] != 0) return fail(kInvalidFieldInCdb);
    return standard_inquiry(allocation_length);
}

DataPlan ScsiUnit::standard_inquiry(uint64_t allocation_length) {
    constexpr size_t kLength = 36;
    const auto data = buffer();
    data[0] = type_;
    data[1] = removable() ? 0x80 : 0;
    data[2] = 0x05;  // SPC-3
    data[3] = 0x02;  // response data format
    data[4] = kLength - 5;
    data[7] = 0x02;  // CMDQUE
    put_text(data.subspan(8, 8), kVendor);
    put_text(data.subspan(16, 16), product());
    put_text(data.subspan(32, 4), kRevision);
    return respond(kLength, allocation_length);
}

// SPC-4, 7.8.
DataPlan ScsiUnit::vital_product_data(uint8_t page, uint64_t allocation_length) {
    const auto data = buffer();
    const auto body = data.subspan(4);
    size_t length = 0;
    if (page == kPageSupported) {
        const auto more = vital_pages();
        body[0] = kPageSupported;
        body[1] = kPageSerial;
        body[2] = kPageIdentification;
        std::copy(more.begin(), more.end(), body.begin() + 3);
        length = 3 + more.size();
    } else if (page == kPageSerial) {
        std::copy(serial_.begin(), serial_.end(), body.begin());
        length = serial_.size();
    } else if (page == kPageIdentification) {
        length = device_identification(body);
    } else {
        length = vital_page(page, body);
        if (length == 0) return fail(kInvalidFieldInCdb);
    }
    data[0] = type_;
    data[1] = page;
    put_big_endian(data, 2, 2, length);
    return respond(4 + length, allocation_length);
}

// SPC-4, 7.8.5: one designator, by the vendor's T10 identification.
size_t ScsiUnit::device_identification(std::span<uint8_t> body) const {
    constexpr size_t kDesignator = 8 + kSerialLength;
    body[0] = 0x02;  // ASCII
    body[1] = 0x01;  // of the logical unit, T10 vendor identification
    body[3] = kDesignator;
    put_text(body.subspan(4, 8), kVendor);
    std::copy(serial_.begin(), serial_.end(), body.begin() + 12);
    return 4 + kDesignator;
}

// SPC-4, 6.11 and 6.12, with the headers of 7.5.5.
DataPlan ScsiUnit::mode_sense(const Cdb& cdb) {
    const bool six = Op{cdb[0]} == Op::mode_sense6;
    const uint64_t allocation_length = six ? cdb[4] : big_endian(cdb, 7, 2);
    const bool with_descriptor = (cdb[1] & 8) == 0;
    const auto page = static_cast<uint8_t>(cdb[2] & 0x3f);
    const unsigned control = cdb[2] >> 6;
    constexpr unsigned kChangeable = 1;
    constexpr unsigned kSaved = 3;
    if (control == kSaved) return fail(kSavingNotSupported);
    if (cdb[3] != 0 && cdb[3] != 0xff) return fail(kInvalidFieldInCdb);  // subpages

    const auto data = buffer();
    const size_t header = six ? 4 : 8;
    size_t length = header;
    if (with_descriptor) length += mode_block_descriptor(data.subspan(header).first<8>());
    const auto descriptor_length = length - header;
    const size_t pages = add_mode_pages(page, control == kChangeable, data.subspan(length));
    if (pages == 0) return fail(kInvalidFieldInCdb);
    length += pages;
    if (six) {
        data[0] = static_cast<uint8_t>(length - 1);
        data[2] = mode_device_parameter();
        data[3] = static_cast<uint8_t>(descriptor_length);
    } else {
        put_big_endian(data, 0, 2, length - 2);
        data[3] = mode_device_parameter();
        put_big_endian(data, 6, 2, descriptor_length);
    }
    return respond(length, allocation_length);
}

size_t ScsiUnit::add_mode_pages(uint8_t page, bool changeable, std::span<uint8_t> to) const {
    if (page != kPageAll) return mode_page(page, changeable, to);
    size_t length = 0;
    for (const uint8_t each : mode_pages())
        length += mode_page(each, changeable, to.subspan(length));
    return length;
}

}  // namespace banyan
