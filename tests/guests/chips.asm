; The chips of an old PC by their ports: 8259s, 8254 (Intel 231244), MC146818, 8237 (Intel 231466) and the 82077AA floppy
; controller (Intel 290166) with interrupts 0, 6 and 8.
; qemu: its 8254 has no gate in mode 0 and no null count
; run: --machine pc
; floppy: 1440
%include "common.inc"

BUFFER equ 0x300000            ; where the sector goes: a page register of 30h
SECTOR equ 20                  ; head 1, sector 3 of cylinder 0

section .text
test_main:
    call init_pics
    call pit_one_shot
    call pit_read_back
    call pit_square_wave
    call pit_interrupts
    call rtc_update
    call rtc_periodic
    call rtc_alarm
    call floppy
    ret

%macro OUTB 2
    mov al, %2
    out %1, al
%endmacro
%macro OUTW 2                  ; a port above FFh
    mov dx, %1
    mov al, %2
    out dx, al
%endmacro

; Both to 20h..2Fh; interrupts 0, 2, 6 and 8 are open.
init_pics:
    GATE 0x20, timer_handler, 0x8E
    GATE 0x26, floppy_handler, 0x8E
    GATE 0x28, rtc_handler, 0x8E
    OUTB 0x20, 0x11
    OUTB 0xA0, 0x11
    OUTB 0x21, 0x20
    OUTB 0xA1, 0x28
    OUTB 0x21, 4
    OUTB 0xA1, 2
    OUTB 0x21, 1
    OUTB 0xA1, 1
    OUTB 0x21, 0xBA
    OUTB 0xA1, 0xFE
    ret

timer_handler:
    push eax
    inc dword [timer_count]
    OUTB 0x20, 0x20
    pop eax
    iretd
floppy_handler:
    push eax
    inc dword [floppy_count]
    OUTB 0x20, 0x20
    pop eax
    iretd
rtc_handler:
    push eax
    OUTB 0x70, 0x0C
    in al, 0x71
    or [rtc_flags], al
    OUTB 0xA0, 0x20
    OUTB 0x20, 0x20
    pop eax
    iretd

; %1: bits of port 61h to wait for, %2: their wanted value.
%macro AWAIT61 2
%%again:
    in al, 0x61
    and al, %1
    cmp al, %2
    jne %%again
%endmacro

; Counter 2 in mode 0: its output is low until the count has run out, and its gate holds it.
pit_one_shot:
    OUTB 0x61, 0
    OUTB 0x43, 0xB0
    OUTB 0x42, 0x00
    OUTB 0x42, 0x10
    mov ecx, 10000
.hold:
    in al, 0x61
    loop .hold
    test al, 0x20
    setnz al
    movzx ecx, al
    EXPECT_EQ ecx, 0, 'mode 0 does not count without its gate'
    OUTB 0x61, 1
    AWAIT61 0x20, 0x20
    ret

; Read-back: status 80h of an output that is high, mode 0, both bytes; the count goes on below zero.
pit_read_back:
    OUTB 0x43, 0xC8            ; count and status of counter 2
    in al, 0x42
    movzx ecx, al
    EXPECT_EQ ecx, 0xB0, 'status after terminal count'
    in al, 0x42
    mov bl, al
    in al, 0x42
    mov bh, al
    OUTB 0x43, 0x80            ; latch it again
    in al, 0x42
    mov cl, al
    in al, 0x42
    mov ch, al
    sub bx, cx
    movzx ecx, bx
    shr ecx, 15
    EXPECT_EQ ecx, 0, 'a later count is lower'
    OUTB 0x43, 0xB4            ; mode 2: no count yet
    OUTB 0x43, 0xE8            ; status alone
    in al, 0x42
    movzx ecx, al
    EXPECT_EQ ecx, 0xF4, 'status before a count was written'
    OUTB 0x42, 0xFF
    OUTB 0x42, 0xFF
    ret

; Mode 3: the output goes up and down.
pit_square_wave:
    OUTB 0x43, 0xB6
    OUTB 0x42, 0x00
    OUTB 0x42, 0x20
    mov ebx, 4
.cycle:
    AWAIT61 0x20, 0x20
    AWAIT61 0x20, 0
    dec ebx
    jnz .cycle
    OUTB 0x61, 0
    ret

; Counter 0 in mode 2, some 1000 a second.
pit_interrupts:
    OUTB 0x43, 0x34
    OUTB 0x40, 0xA9
    OUTB 0x40, 0x04
    sti
.wait:
    hlt
    cmp dword [timer_count], 10
    jb .wait
    cli
    OUTB 0x43, 0x30            ; mode 0, no count: silent
    OUTB 0x21, 0xBB
    ret

; %1: register, %2: value
%macro RTC 2
    OUTB 0x70, %1
    OUTB 0x71, %2
%endmacro

; Update ended: UF and IRQF.
rtc_update:
    RTC 0x0A, 0x26
    RTC 0x0B, 0x12
    call await_rtc
    movzx ecx, byte [rtc_flags]
    and ecx, 0x90
    EXPECT_EQ ecx, 0x90, 'update-ended interrupt'
    ret

; Rate 6: 1024 a second.
rtc_periodic:
    RTC 0x0B, 0x42
    mov ebx, 20
.next:
    call await_rtc
    dec ebx
    jnz .next
    movzx ecx, byte [rtc_flags]
    and ecx, 0xC0
    EXPECT_EQ ecx, 0xC0, 'periodic interrupt'
    RTC 0x0B, 0x02
    ret

; An alarm that is due at each second.
rtc_alarm:
    RTC 0x01, 0xC0
    RTC 0x03, 0xC0
    RTC 0x05, 0xC0
    OUTB 0x70, 0x0C
    in al, 0x71
    RTC 0x0B, 0x22
    call await_rtc
    movzx ecx, byte [rtc_flags]
    and ecx, 0xA0
    EXPECT_EQ ecx, 0xA0, 'alarm interrupt'
    RTC 0x0B, 0x02
    OUTB 0xA1, 0xFF
    ret

; Until an interrupt has come for a flag that is enabled. One that a 8259 has latched before is none.
await_rtc:
    mov byte [rtc_flags], 0
    sti
.wait:
    hlt
    test byte [rtc_flags], 0x80
    jz .wait
    cli
    ret

floppy:
    mov dword [floppy_count], 0
    OUTW 0x3F2, 0x00
    OUTW 0x3F2, 0x1C           ; out of reset, motor A, DMA and interrupts
    call await_floppy
    mov ebx, 4
.polled:
    mov al, 0x08               ; SENSE INTERRUPT STATUS, for each drive
    call send
    call receive
    mov cl, al
    call receive
    dec ebx
    jnz .polled
    movzx ecx, cl
    EXPECT_EQ ecx, 0xC3, 'polling after reset'
    mov al, 0x03               ; SPECIFY
    call send
    mov al, 0xDF
    call send
    mov al, 0x02
    call send
    OUTW 0x3F7, 0              ; 500 kbit/s
    mov al, 0x07               ; RECALIBRATE
    call send
    xor al, al
    call send
    call await_floppy
    mov al, 0x08
    call send
    call receive
    mov bl, al
    call receive
    movzx ecx, bl
    EXPECT_EQ ecx, 0x20, 'recalibrate'
    call program_dma
    mov esi, read_command
    mov ebx, 9
.command:
    lodsb
    call send
    dec ebx
    jnz .command
    call await_floppy
    mov edi, result
    mov ebx, 7
.result:
    call receive
    stosb
    dec ebx
    jnz .result
    EXPECT_EQ [result], 0x00000004, 'ST0 to ST2 and cylinder'
    movzx ecx, word [result + 4]
    EXPECT_EQ ecx, 0x0401, 'head and sector that come next'
    EXPECT_EQ [BUFFER], SECTOR * 0x01010101, 'the sector by DMA'
    EXPECT_EQ [BUFFER + 508], SECTOR * 0x01010101, 'its end'
    EXPECT_EQ [BUFFER + 512], 0, 'no more than was asked for'
    in al, 0x08
    movzx ecx, al
    and ecx, 4
    EXPECT_EQ ecx, 4, 'terminal count of channel 2'
    ret

; Channel 2, single mode, to memory; channel 4 is its way to the CPU.
program_dma:
    OUTB 0xD6, 0xC0
    OUTB 0xD4, 0x00
    OUTB 0x0A, 0x06
    OUTB 0x0C, 0
    OUTB 0x0B, 0x46
    OUTB 0x04, 0
    OUTB 0x04, 0
    OUTB 0x81, BUFFER >> 16
    OUTB 0x05, 0xFF
    OUTB 0x05, 0x01
    OUTB 0x0A, 0x02
    ret

await_floppy:
    sti
.wait:
    hlt
    cmp dword [floppy_count], 0
    je .wait
    cli
    mov dword [floppy_count], 0
    ret

; AL to the FIFO, when the controller wants it.
send:
    mov ah, al
    mov dx, 0x3F4
.wait:
    in al, dx
    and al, 0xC0
    cmp al, 0x80
    jne .wait
    mov al, ah
    inc dx
    out dx, al
    ret

; AL from it.
receive:
    mov dx, 0x3F4
.wait:
    in al, dx
    and al, 0xC0
    cmp al, 0xC0
    jne .wait
    inc dx
    in al, dx
    ret

section .data
; READ DATA with MFM: drive A, head 1; C, H, R, N, EOT, GPL, DTL
read_command: db 0x46, 0x04, 0, 1, SECTOR - 18 + 1, 2, 18, 27, 255

section .bss
timer_count: resd 1
floppy_count: resd 1
rtc_flags: resb 1
alignb 4
result: resb 8
