; AVX-512 as a kernel turns it on, where CPUID has it: XCR0, opmasks, what VEX-encoded instructions clear, XSAVE.
%include "common.inc"
%include "long.inc"

CR4_OSFXSR equ 1 << 9
CR4_OSXSAVE equ 1 << 18
ALL_STATE equ 0xE7
ROUNDS equ 1000                ; enough for the JIT

%macro SET_XCR0 1
    xor ecx, ecx
    xor edx, edx
    mov eax, %1
    xsetbv
%endmacro

section .text
bits 32
test_main:
    pop eax                    ; not going back
    call enter_long
bits 64
    mov eax, 7
    xor ecx, ecx
    cpuid
    test ebx, 1 << 16
    jz .done
    mov rax, cr4
    or rax, CR4_OSFXSR
    mov cr4, rax
    FAULTS 6, 0, 'EVEX without OSXSAVE', {vpaddd zmm1, zmm2, zmm3}
    mov rax, cr4
    or rax, CR4_OSXSAVE
    mov cr4, rax
    SET_XCR0 7
    FAULTS 6, 0, 'EVEX without its state', {vpaddd zmm1, zmm2, zmm3}
    FAULTS 6, 0, 'KMOV without EVEX state', {kmovw k1, k2}
    call refuse_some_components
    SET_XCR0 ALL_STATE
    call sizes
    mov dword [rounds], ROUNDS
.round:
    call registers
    call opmasked_memory
    call saved_state
    dec dword [rounds]
    jnz .round
.done:
    PASS64

refuse_some_components:
    xor ecx, ecx
    xor edx, edx
    mov eax, 0x67
    FAULTS 13, 0, 'XCR0 without ZMM16 to ZMM31', {xsetbv}
    ret

; The area that CPUID asks for holds all components.
sizes:
    mov eax, 0xD
    xor ecx, ecx
    cpuid
    EXPECT_EQ ebx, ecx, 'the size of what is enabled'
    mov eax, 0xD
    mov ecx, 7
    cpuid
    EXPECT_EQ eax, 1024, 'the size of ZMM16 to ZMM31'
    mov eax, 0xD
    mov ecx, 5
    cpuid
    mov [opmask_offset], ebx
    ret

; The sum of 0 to 15 in each element, by way of all kinds of registers.
registers:
    vmovdqu32 zmm1, [counts]
    vpaddd zmm17, zmm1, zmm1
    vpaddd zmm31, zmm17, zmm1
    vextracti32x4 xmm0, zmm31, 3
    vpextrd eax, xmm0, 3
    EXPECT_EQ eax, 45, 'the last element of three sums'
    mov eax, 0x8001
    kmovw k1, eax
    vpaddd zmm1{k1}, zmm1, zmm31
    vextracti32x4 xmm0, zmm1, 3
    vpextrd eax, xmm0, 3
    EXPECT_EQ eax, 60, 'an element under the opmask'
    vpextrd eax, xmm0, 2
    EXPECT_EQ eax, 14, 'an element that it leaves out'
    vpaddd ymm1, ymm1, ymm1
    vextracti32x4 xmm0, zmm1, 3
    vpextrd eax, xmm0, 3
    EXPECT_EQ eax, 0, 'what a VEX-encoded instruction clears'
    vzeroupper
    ret

; The second GiB is not mapped.
opmasked_memory:
    mov edi, 0x3FFFFFF8
    mov eax, 3
    kmovw k2, eax
    vpxord zmm5, zmm5, zmm5
    vmovdqu32 zmm5{k2}, [rdi]
    mov eax, 4
    kmovw k2, eax
    FAULTS 14, 0, 'an element on a page that is missing', {vmovdqu32 zmm5{k2}, [rdi]}
    EXPECT_EQ [caught_cr2], 0x40000000, 'its address'
    ret

saved_state:
    mov eax, 0x5A5A
    kmovw k3, eax
    vpbroadcastd zmm20, eax
    mov eax, ALL_STATE
    xor edx, edx
    xsave64 [area]
    mov ebx, [opmask_offset]
    EXPECT_EQ [area + rbx + 24], 0x5A5A, 'K3 in the area'
    vpxord zmm20, zmm20, zmm20
    kxorw k3, k3, k3
    mov eax, ALL_STATE
    xor edx, edx
    xrstor64 [area]
    kmovw eax, k3
    EXPECT_EQ eax, 0x5A5A, 'K3 after XRSTOR'
    vextracti32x4 xmm0, zmm20, 3
    vpextrd eax, xmm0, 3
    EXPECT_EQ eax, 0x5A5A, 'ZMM20 after XRSTOR'
    ret

section .data
align 64
counts: dd 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15

section .bss
alignb 64
area: resb 4096
rounds: resd 1
opmask_offset: resd 1
