; Debug exceptions: Intel SDM vol. 3 sections 18.2 (registers) and 18.3 (exceptions); instruction shadows 6.8.3.
; qemu: TCG reports one of two data breakpoints that are hit at once
%include "common.inc"

DR6_BS equ 1 << 14
DR6_BD equ 1 << 13
DR7_GD equ 1 << 13
DR6_HITS equ 15
TF equ 0x100
RF equ 0x10000
EXECUTE equ 0
WRITE equ 1
PORT equ 2
ACCESS equ 3
LEN1 equ 0
LEN2 equ 1
LEN4 equ 3
VECTOR equ 0x2A
CR4_DE equ 8

; Breakpoint n on: address, kind, length.
%macro ARM 4
    mov eax, %2
    mov dr%1, eax
    mov eax, dr7
    and eax, ~(0xF << (16 + 4 * %1))
    or eax, (2 << (2 * %1)) | ((%3 | %4 << 2) << (16 + 4 * %1))
    mov dr7, eax
%endmacro
%macro DISARM 0
    mov eax, 0x400
    mov dr7, eax
%endmacro
; The log of #DB since the last RESET_LOG.
%macro RESET_LOG 0
    mov dword [log_count], 0
    xor eax, eax
    mov dr6, eax
%endmacro
%macro EXPECT_COUNT 2
    EXPECT_EQ [log_count], %1, %2
%endmacro
%macro EXPECT_LOG 4    ; n, EIP, DR6 bits, name
    EXPECT_EQ [log_eip + %1 * 4], %2, %4
    mov ecx, [log_dr6 + %1 * 4]
    and ecx, DR6_BS + DR6_BD + DR6_HITS
    EXPECT_EQ ecx, %3, {%4, ' (DR6)'}
%endmacro
%macro TRAP_ON 0
    pushfd
    or dword [esp], TF
    popfd
%endmacro
%macro TRAP_OFF 0
    pushfd
    and dword [esp], ~TF
    popfd
%endmacro

section .text
test_main:
    GATE 1, debug_handler, 0x8E
    call single_step
    call step_over
    call data_breakpoints
    call code_breakpoints
    call ports
    call string_instructions
    call general_detect
    call shadows
    call others
    ret

; Logs EIP, DR6 and the flags. RF is the handler's to set after an instruction breakpoint (section 18.3.1.1): it always
; does so here, which must not matter after traps.
debug_handler:
    push eax
    push ebx
    mov ebx, [log_count]
    cmp ebx, 30
    jae .full
    mov eax, [esp + 8]
    mov [log_eip + ebx * 4], eax
    mov eax, [esp + 16]
    mov [log_flags + ebx * 4], eax
    mov eax, dr6
    mov [log_dr6 + ebx * 4], eax
    inc dword [log_count]
    or dword [esp + 16], RF
    xor eax, eax
    mov dr6, eax
    pop ebx
    pop eax
    iretd
.full:
    mov esi, .text
    mov edx, 30
    mov eax, [esp + 8]
    jmp failed
.text: db 'too many debug exceptions', 0

; TF set by POPF traps after the instruction behind it; the POPF that clears it is trapped once more.
single_step:
    RESET_LOG
    TRAP_ON
.first:
    nop
.second:
    inc ecx
.third:
    pushfd
.fourth:
    and dword [esp], ~TF
.fifth:
    popfd
.after:
    nop
    EXPECT_COUNT 5, 'single steps'
    EXPECT_LOG 0, .second, DR6_BS, 'first step'
    EXPECT_LOG 1, .third, DR6_BS, 'second step'
    EXPECT_LOG 4, .after, DR6_BS, 'the POPF that clears TF'
    mov ecx, [log_flags]
    and ecx, TF + RF
    EXPECT_EQ ecx, TF, 'TF and RF in the frame of a step'
    ret

; INT clears TF for the handler, and the step comes with the IRET; a fault comes without a step.
step_over:
    GATE VECTOR, empty_handler, 0x8E
    RESET_LOG
    TRAP_ON
    int VECTOR
.after_int:
    nop
.off:
    TRAP_OFF
    mov eax, [log_eip]
    EXPECT_EQ eax, .off, 'INT under TF: the next trap is behind the instruction after it'
    GATE 6, skip_ud, 0x8E
    RESET_LOG
    TRAP_ON
    ud2
.after_ud:
    nop
.off2:
    TRAP_OFF
    EXPECT_LOG 0, .off2, DR6_BS, 'a step after a handled fault'
    GATE 6, stub_6, 0x8E
    ; A taken branch.
    RESET_LOG
    TRAP_ON
    jmp .target
    nop
.target:
    nop
    TRAP_OFF
    EXPECT_LOG 0, .target, DR6_BS, 'step over a jump'
    ret
empty_handler:
    iretd
skip_ud:
    add dword [esp], 2
    iretd

; Data breakpoints are traps: EIP is behind the access.
data_breakpoints:
    RESET_LOG
    ARM 0, variable, WRITE, LEN4
    mov eax, [variable]
    EXPECT_COUNT 0, 'a read does not hit a write breakpoint'
    mov dword [variable], 1
.written:
    EXPECT_LOG 0, .written, 1, 'write breakpoint'
    EXPECT_EQ [variable], 1, 'a write breakpoint comes after the write'
    mov byte [variable + 3], 1
.last_byte:
    EXPECT_LOG 1, .last_byte, 1, 'write to the last byte of four'
    mov byte [variable + 4], 1
    mov byte [variable - 1], 1
    EXPECT_COUNT 2, 'writes beside a breakpoint'
    mov dword [variable - 2], 0
.overlap:
    EXPECT_COUNT 3, 'a write that overlaps a breakpoint'
    EXPECT_LOG 2, .overlap, 1, 'a write that overlaps a breakpoint'
    add dword [variable], 5
.added:
    EXPECT_LOG 3, .added, 1, 'addition to memory'
    push dword [variable]
    pop dword [variable]
.popped:
    EXPECT_LOG 4, .popped, 1, 'POP into memory'
    DISARM
    RESET_LOG
    ARM 1, variable + 2, ACCESS, LEN2
    mov eax, [variable]
.read:
    EXPECT_LOG 0, .read, 2, 'access breakpoint, by a read'
    mov al, [variable + 1]
    EXPECT_COUNT 1, 'a read beside an access breakpoint'
    ; Two at once.
    ARM 3, variable + 3, WRITE, LEN1
    mov dword [variable], 0
.both:
    EXPECT_LOG 1, .both, 2 + 8, 'two breakpoints by one write'
    DISARM
    mov dword [variable], 0
    EXPECT_COUNT 2, 'disabled breakpoints'
    ret

; Instruction breakpoints are faults with RF in the frame: IRET runs the instruction once.
code_breakpoints:
    RESET_LOG
    ARM 2, .here, EXECUTE, LEN1
    xor ebx, ebx
    mov ecx, 3
.again:
    nop
.here:
    inc ebx
    loop .again
    EXPECT_EQ ebx, 3, 'the instruction at a breakpoint runs'
    EXPECT_COUNT 3, 'hits in a loop'
    EXPECT_LOG 0, .here, 4, 'instruction breakpoint'
    mov ecx, [log_flags]
    and ecx, RF
    EXPECT_EQ ecx, 0, 'RF in the frame of an instruction breakpoint'
    pushfd
    pop ecx
    and ecx, RF
    EXPECT_EQ ecx, 0, 'RF in a pushed image'
    ; Not in the middle of an instruction.
    RESET_LOG
    ARM 2, .long + 1, EXECUTE, LEN1
.long:
    mov eax, 0x90909090
    EXPECT_COUNT 0, 'breakpoint inside an instruction'
    DISARM
    ret

; I/O breakpoints need CR4.DE; without it DR4 and DR5 are DR6 and DR7.
ports:
    mov eax, cr4
    or eax, CR4_DE
    mov cr4, eax
    FAULTS 6, 0, 'DR4 with CR4.DE', {mov eax, dr4}
    RESET_LOG
    ARM 0, 0x80, PORT, LEN1
    out 0x80, al
.out:
    EXPECT_LOG 0, .out, 1, 'port breakpoint'
    in al, 0x61
    EXPECT_COUNT 1, 'another port'
    DISARM
    mov eax, cr4
    and eax, ~CR4_DE
    mov cr4, eax
    mov eax, dr5
    EXPECT_EQ eax, 0x400, 'DR5 without CR4.DE'
    ret

; A data breakpoint in a repeated instruction comes after the iteration; single step after each.
string_instructions:
    RESET_LOG
    ARM 0, buffer + 8, WRITE, LEN4
    mov edi, buffer
    mov ecx, 5
    xor eax, eax
.rep:
    rep stosd
.done:
    EXPECT_COUNT 1, 'write breakpoint in REP STOSD'
    mov ecx, [log_dr6]
    and ecx, DR6_HITS
    EXPECT_EQ ecx, 1, 'write breakpoint in REP STOSD (DR6)'
    DISARM
    RESET_LOG
    mov edi, buffer
    mov ecx, 3
    TRAP_ON
.stepped:
    rep stosd
.after:
    TRAP_OFF
    EXPECT_LOG 0, .stepped, DR6_BS, 'step in a repeated instruction'
    EXPECT_LOG 2, .after, DR6_BS, 'step behind the last iteration'
    ret

; GD: any MOV of a debug register faults, with BD; the handler's own may do it, since GD is clear there.
general_detect:
    RESET_LOG
    CATCH .caught
    GATE 1, stub_1, 0x8E
    mov eax, 0x400 | DR7_GD
    mov dr7, eax
.at:
    mov eax, dr0
.caught:
    mov dword [resume_at], 0
    mov ebx, dr6
    mov ecx, dr7
    GATE 1, debug_handler, 0x8E
    EXPECT_EQ [caught], 1, 'general detect'
    EXPECT_EQ [caught_eip], .at, 'general detect (return address)'
    and ebx, DR6_BD
    EXPECT_EQ ebx, DR6_BD, 'BD'
    mov eax, dr7
    and eax, DR7_GD
    EXPECT_EQ eax, 0, 'GD in the handler'
    RING3 user_dr, 13, 0, 'debug register in ring 3'
    ret

; MOV SS: no debug exception between it and the next instruction; what was hit comes after that one.
shadows:
    RESET_LOG
    mov dword [variable], KERNEL_DS
    ARM 0, variable, ACCESS, LEN4
    mov ss, [variable]
.shadow:
    nop
.after:
    EXPECT_COUNT 1, 'MOV SS with a data breakpoint'
    EXPECT_LOG 0, .after, 1, 'MOV SS with a data breakpoint'
    DISARM
    RESET_LOG
    mov ax, ss
    TRAP_ON
    mov ss, ax
.in_shadow:
    nop
.stepped:
    nop
    TRAP_OFF
    mov ecx, [log_eip]
    EXPECT_EQ ecx, .stepped, 'no step behind MOV SS'
    ret

others:
    RESET_LOG
    db 0xF1                            ; INT1: a trap that leaves DR6 alone
.after:
    EXPECT_LOG 0, .after, 0, 'INT1'
    ; Fixed bits.
    xor eax, eax
    mov dr6, eax
    mov ecx, dr6
    EXPECT_EQ ecx, 0xFFFF0FF0, 'fixed ones of DR6'
    xor eax, eax
    mov dr7, eax
    mov ecx, dr7
    EXPECT_EQ ecx, 0x400, 'fixed one of DR7'
    ret

user_dr:
    mov eax, dr0

section .bss
log_count: resd 1
log_eip: resd 32
log_dr6: resd 32
log_flags: resd 32
alignb 16
    resb 16
variable: resb 16
buffer: resb 64
