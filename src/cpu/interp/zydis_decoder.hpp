// The Zydis decoder as Banyan's guests see instructions.
#pragma once

#include <Zydis/Zydis.h>

namespace banyan::interp {

// MPX and CET are not offered: their encodings are NOPs, as on CPUs without them.
inline ZydisDecoder make_decoder(ZydisMachineMode machine, ZydisStackWidth stack) {
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, machine, stack);
    for (const ZydisDecoderMode off :
         {ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET, ZYDIS_DECODER_MODE_CLDEMOTE}) {
        ZydisDecoderEnableMode(&decoder, off, ZYAN_FALSE);
    }
    return decoder;
}

inline ZydisDecoder make_decoder64() {
    return make_decoder(ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
}

}  // namespace banyan::interp
